import { SkerryError } from '#shared/kernel/errors.js';
import { Bins } from './bins.js';
import { ExactSum } from './exact-sum.js';
import { decodeSketch, encodeSketch } from './sketch-codec.js';
import { BIN_GAMMA, MAX_MAGNITUDE, MIN_MAGNITUDE, binIndex, binValue } from './sketch-mapping.js';

/** One bin of a sketch: `count` values in `[lower, upper]`; both ends are 0 for the zero bucket. */
interface SketchBin {
  readonly lower: number;
  readonly upper: number;
  readonly count: number;
}

/**
 * A mergeable summary of numbers that answers any quantile within 1 % relative error; count, sum, min and max are exact.
 * Values smaller in magnitude than 1e-12 count as 0. Merging is exactly associative and commutative.
 * Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
 * Guarantees", VLDB 2019.
 */
export class QuantileSketch {
  readonly #positive = new Bins();
  readonly #negative = new Bins();
  readonly #sum = new ExactSum();
  #zero = 0;
  #count = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  /** Adds `value`, `weight` times (a positive integer). Throws `SKETCH_VALUE` for what is not finite or above 1e150. */
  add(value: number, weight = 1): void {
    if (!(Math.abs(value) <= MAX_MAGNITUDE)) throw new SkerryError('SKETCH_VALUE', `cannot sketch the value ${value}`);
    if (!Number.isSafeInteger(weight) || weight < 1) throw new SkerryError('SKETCH_VALUE', `cannot sketch with the weight ${weight}`);
    this.#grow(weight);
    const size = Math.abs(value);
    const kept = size < MIN_MAGNITUDE ? 0 : value;
    if (kept === 0) this.#zero += weight;
    else (kept > 0 ? this.#positive : this.#negative).add(binIndex(size), weight);
    if (kept < this.#min) this.#min = kept;
    if (kept > this.#max) this.#max = kept;
    this.#sum.addProduct(kept, weight);
  }

  /** Adds everything `other` holds; `other` stays as it is. */
  merge(other: QuantileSketch): void {
    this.#grow(other.#count);
    this.#positive.merge(other.#positive);
    this.#negative.merge(other.#negative);
    this.#zero += other.#zero;
    this.#sum.merge(other.#sum);
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  get count(): number {
    return this.#count;
  }

  /** Exact sum of the values, rounded once. */
  get sum(): number {
    return this.#sum.value;
  }

  /** Smallest value; `undefined` when empty. */
  get min(): number | undefined {
    return this.#count === 0 ? undefined : this.#min;
  }

  /** Largest value; `undefined` when empty. */
  get max(): number | undefined {
    return this.#count === 0 ? undefined : this.#max;
  }

  get mean(): number | undefined {
    return this.#count === 0 ? undefined : this.sum / this.#count;
  }

  /**
   * A value within 1 % of the lower `q`-quantile, q in [0, 1]: the element of rank floor(q * (count - 1)) from 0.
   * `undefined` when empty; throws `STATS_ARGUMENT` for another q.
   */
  quantile(q: number): number | undefined {
    if (!(q >= 0 && q <= 1)) throw new SkerryError('STATS_ARGUMENT', `a quantile lies between 0 and 1, not ${q}`);
    if (this.#count === 0) return undefined;
    if (q === 0) return this.#min;
    if (q === 1) return this.#max;
    const rank = Math.floor(q * (this.#count - 1));
    return Math.min(Math.max(this.#atRank(rank), this.#min), this.#max);
  }

  /** How many values lie above `threshold`; a bin counts by its middle, so to within 1 % of the value. */
  countAbove(threshold: number): number {
    if (threshold >= 0) {
      let first = threshold < MIN_MAGNITUDE ? Number.NEGATIVE_INFINITY : binIndex(threshold) - 1;
      while (Number.isFinite(first) && middleOf(first) <= threshold) first += 1;
      return this.#positive.between(first, Number.POSITIVE_INFINITY);
    }
    let last = threshold > -MIN_MAGNITUDE ? Number.NEGATIVE_INFINITY : binIndex(-threshold) + 1;
    while (Number.isFinite(last) && middleOf(last) >= -threshold) last -= 1;
    return (
      this.#negative.between(Number.NEGATIVE_INFINITY, last) +
      this.#zero +
      this.#positive.between(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
    );
  }

  /** The bins by rising value. */
  bins(): SketchBin[] {
    const out: SketchBin[] = [];
    for (const [index, count] of this.#negative.ascending().toReversed()) {
      out.push({ lower: -(BIN_GAMMA ** index), upper: -(BIN_GAMMA ** (index - 1)), count });
    }
    if (this.#zero > 0) out.push({ lower: 0, upper: 0, count: this.#zero });
    for (const [index, count] of this.#positive.ascending()) {
      out.push({ lower: BIN_GAMMA ** (index - 1), upper: BIN_GAMMA ** index, count });
    }
    return out;
  }

  /** Compact versioned bytes; equal contents give equal bytes. */
  encode(): Uint8Array {
    return encodeSketch({
      zero: this.#zero,
      negative: this.#negative.ascending(),
      positive: this.#positive.ascending(),
      min: this.#min,
      max: this.#max,
      sum: this.#sum.components(),
    });
  }

  /** Reads what `encode` wrote; `SKETCH_INVALID` for anything else. Work and memory are bounded by the number of bytes. */
  static decode(bytes: Uint8Array): QuantileSketch {
    const parts = decodeSketch(bytes);
    const sketch = new QuantileSketch();
    sketch.#zero = parts.zero;
    sketch.#count = parts.zero;
    for (const [index, count] of parts.negative) sketch.#restore(sketch.#negative, index, count);
    for (const [index, count] of parts.positive) sketch.#restore(sketch.#positive, index, count);
    sketch.#min = parts.min;
    sketch.#max = parts.max;
    for (const component of parts.sum) sketch.#sum.add(component);
    return sketch;
  }

  /** A copy that changes independently. */
  clone(): QuantileSketch {
    const copy = new QuantileSketch();
    copy.merge(this);
    return copy;
  }

  #restore(bins: Bins, index: number, count: number): void {
    bins.add(index, count);
    this.#count += count;
  }

  #grow(by: number): void {
    const count = this.#count + by;
    if (!Number.isSafeInteger(count)) throw new SkerryError('SKETCH_VALUE', 'the sketch would hold more than 2^53 values');
    this.#count = count;
  }

  #atRank(rank: number): number {
    let seen = 0;
    for (const [index, count] of this.#negative.ascending().toReversed()) {
      seen += count;
      if (seen > rank) return -binValue(index);
    }
    seen += this.#zero;
    if (seen > rank) return 0;
    for (const [index, count] of this.#positive.ascending()) {
      seen += count;
      if (seen > rank) return binValue(index);
    }
    return this.#max;
  }
}

function middleOf(index: number): number {
  return (BIN_GAMMA ** (index - 1) + BIN_GAMMA ** index) / 2;
}
