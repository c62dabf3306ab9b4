import type { Item } from './work.js';

/** Holds answers back until those of all requests that were started before were given. INVARIANT: what was settled otherwise holds up nobody. */
export class AnswersInOrder {
  /** In the order in which they were started. */
  readonly #started = new Set<Item>();
  readonly #answers = new Map<Item, () => void>();

  /** One that is started again keeps its place. */
  start(items: readonly Item[]): void {
    for (const item of items) this.#started.add(item);
  }

  answer(item: Item, give: () => void): void {
    this.#answers.set(item, give);
    this.release();
  }

  /** Gives what may be given. */
  release(): void {
    for (const item of this.#started) {
      const give = this.#answers.get(item);
      if (give === undefined && !item.settled) return;
      this.#started.delete(item);
      this.#answers.delete(item);
      give?.();
    }
  }
}
