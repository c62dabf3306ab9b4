/** Most bins one side of a sketch keeps; beyond it the ones nearest to zero are joined (DDSketch, section 2.4, m = 2048). */
export const MAX_BINS = 2048;

/**
 * Counts per logarithmic bin, at most MAX_BINS of them. When there are more, every bin below the MAX_BINS-th largest index
 * is joined with that one. The rule depends only on the set of indices, so merging is exactly associative and commutative.
 */
export class Bins {
  readonly #counts = new Map<number, number>();

  get size(): number {
    return this.#counts.size;
  }

  add(index: number, weight: number): void {
    const before = this.#counts.get(index);
    this.#counts.set(index, (before ?? 0) + weight);
    if (before === undefined && this.#counts.size > MAX_BINS) this.#collapse();
  }

  merge(other: Bins): void {
    for (const [index, weight] of other.#counts) this.#counts.set(index, (this.#counts.get(index) ?? 0) + weight);
    if (this.#counts.size > MAX_BINS) this.#collapse();
  }

  /** `[index, count]` by rising index. */
  ascending(): [number, number][] {
    return [...this.#counts].sort((a, b) => a[0] - b[0]);
  }

  /** Counts of the bins with an index in [first, last]. */
  between(first: number, last: number): number {
    let sum = 0;
    for (const [index, weight] of this.#counts) if (index >= first && index <= last) sum += weight;
    return sum;
  }

  #collapse(): void {
    const sorted = this.ascending();
    const cut = sorted.length - MAX_BINS;
    const floor = sorted[cut]?.[0] ?? 0;
    for (const [index, weight] of sorted.slice(0, cut)) {
      this.#counts.delete(index);
      this.#counts.set(floor, (this.#counts.get(floor) ?? 0) + weight);
    }
  }
}
