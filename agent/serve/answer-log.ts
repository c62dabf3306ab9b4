import type { ModelName, VersionNumber } from '#shared/bundle/names.js';

const MAX_ENTRIES = 8_192;

/** How the application names an answer: by its request's id, or by the key that went with it. */
export interface AnswerName {
  readonly id?: string | undefined;
  readonly key?: string | undefined;
}

/** Which version answered requests that had an id or a key, for what the application says of them later; the latest ones only. */
export class AnswerLog {
  /** Oldest first. */
  readonly #versions = new Map<string, VersionNumber>();

  answered(model: ModelName, version: VersionNumber, { id, key }: AnswerName): void {
    if (id !== undefined) this.#put(`${model}\nid\n${id}`, version);
    if (key !== undefined) this.#put(`${model}\nkey\n${key}`, version);
  }

  /** The version that answered; the id says more than the key. */
  versionOf(model: ModelName, { id, key }: AnswerName): VersionNumber | undefined {
    const byId = id === undefined ? undefined : this.#versions.get(`${model}\nid\n${id}`);
    return byId ?? (key === undefined ? undefined : this.#versions.get(`${model}\nkey\n${key}`));
  }

  #put(name: string, version: VersionNumber): void {
    this.#versions.delete(name);
    this.#versions.set(name, version);
    if (this.#versions.size <= MAX_ENTRIES) return;
    const [oldest] = this.#versions.keys();
    if (oldest !== undefined) this.#versions.delete(oldest);
  }
}
