import { type ModelName, type VersionNumber, versionKey } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { StepError } from '#agent/install/decide/install-step.js';

interface FetchProgress {
  readonly have: number;
  readonly total: number;
}

/** What is reported about versions being installed and stored nowhere: bytes fetched, and why the last step failed. */
export class InstallProgress {
  readonly #fetching = new Map<string, { total: number; complete: number; current: number }>();
  readonly #errors = new BoundedMap<string, StepError>(LIMITS.rememberedVersions);
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  fetching(model: ModelName, version: VersionNumber): FetchProgress | undefined {
    const progress = this.#fetching.get(versionKey(model, version));
    return progress && { have: Math.min(progress.total, progress.complete + progress.current), total: progress.total };
  }

  /** A file of a version is being fetched; `complete` bytes of its other files are here. */
  start(model: ModelName, version: VersionNumber, total: number, complete: number): void {
    this.#fetching.set(versionKey(model, version), { total, complete, current: 0 });
    this.#onChange();
  }

  advance(model: ModelName, version: VersionNumber, haveOfFile: number): void {
    const progress = this.#fetching.get(versionKey(model, version));
    if (progress === undefined) return;
    progress.current = haveOfFile;
    this.#onChange();
  }

  end(model: ModelName, version: VersionNumber): void {
    if (this.#fetching.delete(versionKey(model, version))) this.#onChange();
  }

  error(model: ModelName, version: VersionNumber): StepError | undefined {
    return this.#errors.get(versionKey(model, version));
  }

  setError(model: ModelName, version: VersionNumber, error: StepError | undefined): void {
    const key = versionKey(model, version);
    if (error === undefined ? this.#errors.delete(key) : this.#errors.get(key)?.code !== error.code) {
      if (error !== undefined) this.#errors.set(key, error);
      this.#onChange();
    }
  }
}
