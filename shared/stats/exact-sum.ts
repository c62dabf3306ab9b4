/**
 * A sum of doubles without rounding: any order of additions and merges gives the same state and the same rounded total.
 * Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates", 1997
 * (grow-expansion), rounded as in Python's math.fsum; products split by T. J. Dekker, 1971.
 */
export class ExactSum {
  /** Non-overlapping, increasing magnitude; their exact sum is the total. */
  #partials: number[] = [];

  /** Adds a finite value; magnitudes up to 1e200 cannot overflow in any realistic number of additions. */
  add(value: number): void {
    const partials = this.#partials;
    let carry = value;
    let kept = 0;
    for (let i = 0; i < partials.length; i++) {
      const y = partials[i] ?? 0;
      const high = carry + y;
      const low = Math.abs(carry) < Math.abs(y) ? carry - (high - y) : y - (high - carry);
      if (low !== 0) {
        partials[kept] = low;
        kept += 1;
      }
      carry = high;
    }
    partials.length = kept;
    if (carry !== 0) partials.push(carry);
  }

  /** Adds `value * weight` without rounding the product. */
  addProduct(value: number, weight: number): void {
    if (weight === 1) {
      this.add(value);
      return;
    }
    const product = value * weight;
    const [valueHigh, valueLow] = split(value);
    const [weightHigh, weightLow] = split(weight);
    this.add(valueLow * weightLow - (product - valueHigh * weightHigh - valueLow * weightHigh - valueHigh * weightLow));
    this.add(product);
  }

  merge(other: ExactSum): void {
    for (const partial of other.#partials.slice()) this.add(partial);
  }

  /** The total, correctly rounded (half to even). */
  get value(): number {
    const partials = this.#partials;
    let i = partials.length - 1;
    if (i < 0) return 0;
    let high = partials[i] ?? 0;
    let low = 0;
    while (i > 0 && low === 0) {
      i -= 1;
      const x = high;
      const y = partials[i] ?? 0;
      high = x + y;
      low = y - (high - x);
    }
    const next = i > 0 ? (partials[i - 1] ?? 0) : 0;
    if ((low < 0 && next < 0) || (low > 0 && next > 0)) {
      const doubled = low * 2;
      const rounded = high + doubled;
      if (doubled === rounded - high) high = rounded;
    }
    return high;
  }

  /** The exact total as its rounding, then the rounding of what that left, and so on: one list for one total. */
  components(): number[] {
    const rest = new ExactSum();
    rest.merge(this);
    const out: number[] = [];
    for (let next = rest.value; next !== 0; next = rest.value) {
      out.push(next);
      rest.add(-next);
    }
    return out;
  }
}

/** Dekker's split of a double into two halves of 26 bits whose products are exact. */
function split(x: number): [number, number] {
  const scaled = 134_217_729 * x;
  const high = scaled - (scaled - x);
  return [high, x - high];
}
