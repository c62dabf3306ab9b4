/** Sorted, disjoint, non-adjacent inclusive ranges. */
type Range = readonly [first: number, last: number];

/**
 * Ranges kept of one boot. An outbox that had to drop or coarsen records leaves gaps that stay, thousands of them after a long time
 * without network; beyond these the oldest gap closes, and what was in it counts as there. Outboxes are emptied from the oldest on.
 */
const MAX_RANGES = 4_096;

/**
 * A set of sequence numbers, exact up to `MAX_RANGES`, that stays small while they come mostly in order: what a device sent in one
 * boot is a handful of ranges, however many records that were.
 */
export class SeqRanges {
  readonly #ranges: Range[];

  private constructor(ranges: Range[]) {
    this.#ranges = ranges;
  }

  /** Reads what `toString` wrote; the empty text is the empty set. */
  static parse(text: string): SeqRanges {
    if (text === '') return new SeqRanges([]);
    return new SeqRanges(
      text.split(',').map((part) => {
        const [first = '', last = first] = part.split('-');
        return [Number(first), Number(last)];
      }),
    );
  }

  /** Adds a number; false when it was there. */
  add(seq: number): boolean {
    const at = this.#after(seq);
    const before = this.#ranges[at - 1];
    const behind = this.#ranges[at];
    if (before !== undefined && seq <= before[1]) return false;
    const joinsBefore = before !== undefined && before[1] === seq - 1;
    const joinsBehind = behind !== undefined && behind[0] === seq + 1;
    const merged: Range = [joinsBefore ? before[0] : seq, joinsBehind ? behind[1] : seq];
    this.#ranges.splice(at - (joinsBefore ? 1 : 0), (joinsBefore ? 1 : 0) + (joinsBehind ? 1 : 0), merged);
    const [first, second] = this.#ranges;
    if (this.#ranges.length > MAX_RANGES && first !== undefined && second !== undefined) this.#ranges.splice(0, 2, [first[0], second[1]]);
    return true;
  }

  toString(): string {
    return this.#ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
  }

  /** Position of the first range that begins after `seq`. */
  #after(seq: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = this.#ranges[middle];
      if (range !== undefined && range[0] <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
