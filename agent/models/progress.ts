import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { StepError } from './decide/step.js';

export interface FetchProgress {
  readonly have: number;
  readonly total: number;
}

/** What is said about versions on their way and kept nowhere: bytes fetched, and why the last step failed. */
export class ProgressBoard {
  readonly #fetching = new Map<string, { total: number; complete: number; current: number }>();
  readonly #errors = new BoundedMap<string, StepError>(LIMITS.rememberedVersions);
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  fetching(model: ModelName, version: VersionNumber): FetchProgress | undefined {
    const progress = this.#fetching.get(keyOf(model, version));
    return progress && { have: Math.min(progress.total, progress.complete + progress.current), total: progress.total };
  }

  /** A file of a version is being fetched; `complete` bytes of its other files are here. */
  began(model: ModelName, version: VersionNumber, total: number, complete: number): void {
    this.#fetching.set(keyOf(model, version), { total, complete, current: 0 });
    this.#onChange();
  }

  advanced(model: ModelName, version: VersionNumber, haveOfFile: number): void {
    const progress = this.#fetching.get(keyOf(model, version));
    if (progress === undefined) return;
    progress.current = haveOfFile;
    this.#onChange();
  }

  ended(model: ModelName, version: VersionNumber): void {
    if (this.#fetching.delete(keyOf(model, version))) this.#onChange();
  }

  error(model: ModelName, version: VersionNumber): StepError | undefined {
    return this.#errors.get(keyOf(model, version));
  }

  setError(model: ModelName, version: VersionNumber, error: StepError | undefined): void {
    const key = keyOf(model, version);
    if (error === undefined ? this.#errors.delete(key) : this.#errors.get(key)?.code !== error.code) {
      if (error !== undefined) this.#errors.set(key, error);
      this.#onChange();
    }
  }
}

function keyOf(model: ModelName, version: VersionNumber): string {
  return `${model}@${version}`;
}
