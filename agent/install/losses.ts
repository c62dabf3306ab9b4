import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { versionKey } from '#shared/bundle/names.js';

/** Times a complete version may lose files before that is taken for a loop. */
const MAX_LOSSES = 3;

/** Counts how often complete versions lost files since they were accepted or last loaded: ends a loop of fetching for nothing. */
export class Losses {
  readonly #counts = new BoundedMap<string, number>(LIMITS.rememberedVersions);

  /** Throws `MODELS_NO_PROGRESS` when the version lost its files too often; then counting starts again. */
  add(model: ModelName, version: VersionNumber): void {
    const key = versionKey(model, version);
    const count = (this.#counts.get(key) ?? 0) + 1;
    if (count > MAX_LOSSES) {
      this.#counts.delete(key);
      throw new SkerryError('MODELS_NO_PROGRESS', `${model} ${version} lost files ${count} times after they were complete`);
    }
    this.#counts.set(key, count);
  }

  forget(model: ModelName, version: VersionNumber): void {
    this.#counts.delete(versionKey(model, version));
  }
}
