import { SkerryError } from '#shared/kernel/errors.js';
import type { QueueLevel } from '../decide/next-batch.js';
import type { Item } from './work.js';

/** The waiting requests of one servable by level of priority. */
export class WaitingLine {
  readonly #levels: readonly { readonly queue: Item[]; readonly delayed: Item[] }[];
  #length = 0;

  constructor(levels: number) {
    this.#levels = Array.from({ length: levels }, () => ({ queue: [], delayed: [] }));
  }

  get levels(): readonly QueueLevel<Item>[] {
    return this.#levels;
  }

  get length(): number {
    return this.#length;
  }

  /** Requests that wait in a level. */
  lengthOf(level: number): number {
    const { queue, delayed } = this.#at(level);
    return queue.length + delayed.length;
  }

  add(item: Item): void {
    this.#at(item.level).queue.push(item);
    this.#length++;
  }

  /** Puts requests that were started already before all others of their levels, in this order. */
  addFirst(items: readonly Item[]): void {
    for (const item of items.toReversed()) this.#at(item.level).queue.unshift(item);
    this.#length += items.length;
  }

  /** Whether it was there. */
  remove(item: Item): boolean {
    const { queue, delayed } = this.#at(item.level);
    for (const list of [queue, delayed]) {
      const at = list.indexOf(item);
      if (at < 0) continue;
      list.splice(at, 1);
      this.#length--;
      return true;
    }
    return false;
  }

  /** Its time in the queue is over, and it runs after the others of its level. */
  delay(item: Item): void {
    if (!this.remove(item)) return;
    this.#at(item.level).delayed.push(item);
    this.#length++;
  }

  /** All that wait, those that run first first. */
  all(): readonly Item[] {
    return this.#levels.flatMap(({ queue, delayed }) => [...queue, ...delayed]);
  }

  #at(level: number): { readonly queue: Item[]; readonly delayed: Item[] } {
    const found = this.#levels[level];
    if (found === undefined) throw new SkerryError('INTERNAL', `there is no level ${level}`);
    return found;
  }
}
