import { SkerryError } from '#shared/kernel/errors.js';
import { requireLevel } from './arguments.js';
import { logAdd } from './log-space.js';
import type { Interval } from './quantile-sequence.js';

/** Candidate means are tested on this many equal steps of [0, 1]. */
const STEPS = 1000;
/** Share of a candidate's capital that one bet may risk. */
const RISK = 0.5;

/**
 * Confidence sequence for the mean of values in [0, 1] whose conditional mean stays the same: for every candidate mean two
 * gamblers bet that the true one is larger or smaller, and a candidate that made one of them rich is out.
 * Source: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86(1), 2024: hedged
 * capital (section 4.4) with predictable plug-in bets (equation 26). Holds at all times at once with probability 1 - alpha.
 */
export class BoundedMeanSequence {
  readonly #alpha: number;
  readonly #up = new Float64Array(STEPS + 1);
  readonly #down = new Float64Array(STEPS + 1);
  readonly #out = new Uint8Array(STEPS + 1);
  #n = 0;
  #sum = 0.5;
  #squares = 0.25;

  constructor(alpha: number) {
    requireLevel(alpha, 'alpha');
    this.#alpha = alpha;
  }

  get count(): number {
    return this.#n;
  }

  /** Takes the next value; throws `STATS_ARGUMENT` for one outside [0, 1]. */
  add(value: number): void {
    if (!(value >= 0 && value <= 1)) throw new SkerryError('STATS_ARGUMENT', `the value must lie between 0 and 1, it is ${value}`);
    const t = this.#n + 1;
    const variance = this.#squares / t;
    const bet = Math.sqrt((2 * Math.log(2 / this.#alpha)) / (variance * t * Math.log(t + 1)));
    const rich = Math.log(1 / this.#alpha);
    for (let i = 0; i <= STEPS; i++) {
      const m = i / STEPS;
      this.#up[i] = (this.#up[i] ?? 0) + Math.log1p(Math.min(bet, m === 0 ? bet : RISK / m) * (value - m));
      this.#down[i] = (this.#down[i] ?? 0) + Math.log1p(-Math.min(bet, m === 1 ? bet : RISK / (1 - m)) * (value - m));
      if (logAdd(this.#up[i] ?? 0, this.#down[i] ?? 0) - Math.LN2 >= rich) this.#out[i] = 1;
    }
    this.#n = t;
    this.#sum += value;
    const mean = this.#sum / (t + 1);
    this.#squares += (value - mean) ** 2;
  }

  /** The candidates still in, widened by one step each way. */
  interval(): Interval {
    let low = 0;
    while (low < STEPS && this.#out[low] === 1) low += 1;
    let high = STEPS;
    while (high > low && this.#out[high] === 1) high -= 1;
    return { lower: Math.max(0, (low - 1) / STEPS), upper: Math.min(1, (high + 1) / STEPS) };
  }
}
