import type { Baseline, DeviceWindow, Distribution, Group } from '#hub/rollouts/decide/evidence/window.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { SeededRandom } from '../../kit/random.js';
import { DAY, type Truth, WINDOW } from './truth.js';

export interface SimDevice {
  readonly id: DeviceId;
  readonly errorRate: number;
  readonly traffic: number;
  /** Median latency, milliseconds. */
  readonly scale: number;
  readonly silent: boolean;
  readonly affected: boolean;
  readonly baseline: Baseline;
  serving: 'old' | 'new';
  /** When it began to serve what it serves. */
  since: EpochMillis;
  told: boolean;
  brokenUntil: EpochMillis;
}

const SIGMA = 0.5;
const TAIL_EXPONENT = 1.5;
const QUANTILE = 0.95;

/** Devices that make predictions under a chosen truth, window by window. */
export class World {
  readonly devices: readonly SimDevice[];
  readonly #truth: Truth;
  readonly #random: SeededRandom;
  /** 95 % quantile of the latency in units of a device's median. */
  readonly #q95: number;
  /** Predictions answered by the new version so far. */
  exposed = 0;

  constructor(truth: Truth, seed: number) {
    this.#truth = truth;
    this.#random = new SeededRandom(seed);
    this.#q95 = quantileOf(truth.tail, QUANTILE);
    this.devices = Array.from({ length: truth.devices }, (_, i) => this.#device(i));
  }

  /** What all devices reported together before. */
  get fleet(): Baseline {
    const sum = this.devices.reduce(
      (total, { baseline: { tallies } }) => ({
        events: total.events + tallies.errors.events,
        exposure: total.exposure + tallies.errors.exposure,
      }),
      { events: 0, exposure: 0 },
    );
    return { tallies: { errors: sum, crashes: { events: 0, exposure: 24 * this.devices.length } } };
  }

  /** One window of one device; `undefined` for a silent one. */
  window(device: SimDevice, from: EpochMillis): DeviceWindow | undefined {
    if (device.silent) return undefined;
    const random = this.#random;
    const truth = this.#truth;
    const day = Math.sin((2 * Math.PI * from) / DAY);
    const predictions = random.poisson(device.traffic * (1 + truth.rhythm * day));
    const bad = device.serving === 'new' && device.affected && from - device.since >= truth.onset;
    if (random.bernoulli(truth.breaking)) device.brokenUntil = from + 6 * WINDOW;
    const rate = from < device.brokenUntil ? 0.5 : device.errorRate * (1 + 0.5 * truth.rhythm * day) * (bad ? truth.errors : 1);
    const errors = Math.min(predictions, random.poisson(predictions * Math.min(1, rate)));
    if (device.serving === 'new') this.exposed += predictions;
    const scale = device.scale * (1 + 0.2 * truth.rhythm * day) * Math.exp(truth.jitter * random.normal()) * (bad ? truth.latency : 1);
    return {
      device: device.id,
      from,
      length: WINDOW,
      tallies: {
        errors: { events: errors, exposure: predictions },
        crashes: { events: random.poisson(0.0005), exposure: WINDOW / 3_600_000 },
      },
      values: { latency: new SimLatency(predictions, scale, truth.tail, random) },
    };
  }

  #device(index: number): SimDevice {
    const random = this.#random;
    const { errorRate, errorShape, traffic, silent, affected } = this.#truth;
    const own = errorRate * random.gamma(errorShape);
    const load = traffic * random.gamma(4);
    const scale = 10 * Math.exp(0.7 * random.normal());
    const id = deviceIdSchema.parse(`sim-${index}`);
    const before = random.poisson(load * (DAY / WINDOW));
    // The quantile of a day's values as a device knows it: the true one with the error of its sample.
    const threshold = scale * this.#q95 * Math.exp((0.8 / Math.sqrt(Math.max(1, before * (1 - QUANTILE)))) * random.normal());
    return {
      id,
      errorRate: own,
      traffic: load,
      scale,
      silent: random.bernoulli(silent),
      affected: random.bernoulli(affected),
      baseline: {
        tallies: { errors: { events: random.poisson(before * own), exposure: before }, crashes: { events: 0, exposure: 24 } },
        values: { latency: { quantile: () => threshold } },
      },
      serving: 'old',
      since: 0,
      told: false,
      brokenUntil: 0,
    };
  }
}

/** Who a window counts for: told devices that do not serve the new version yet count for neither. */
export function groupOf(device: SimDevice): Group | undefined {
  if (device.serving === 'new') return 'canary';
  return device.told ? undefined : 'control';
}

/** Latencies of one window: lognormal with a heavy tail. Thresholds are asked in rising order; counts are drawn when asked. */
class SimLatency implements Distribution {
  readonly count: number;
  readonly #scale: number;
  readonly #tail: number;
  readonly #random: SeededRandom;
  #lastCount: number;
  #lastShare = 1;

  constructor(count: number, scale: number, tail: number, random: SeededRandom) {
    this.count = count;
    this.#scale = scale;
    this.#tail = tail;
    this.#random = random;
    this.#lastCount = count;
  }

  above(threshold: number): number {
    const share = survival(threshold / this.#scale, this.#tail);
    if (share >= this.#lastShare) return this.#lastCount;
    const keep = share / this.#lastShare;
    let left = 0;
    if (this.#lastCount * keep > 30) left = Math.min(this.#lastCount, this.#random.poisson(this.#lastCount * keep));
    else if (this.#lastShare === 1) left = Math.min(this.#lastCount, this.#random.poisson(this.#lastCount * keep));
    else for (let i = 0; i < this.#lastCount; i++) if (this.#random.bernoulli(keep)) left += 1;
    this.#lastCount = left;
    this.#lastShare = share;
    return left;
  }
}

/** Share of latencies above `x` medians. */
function survival(x: number, tail: number): number {
  const body = 0.5 * erfc(Math.log(x) / (SIGMA * Math.SQRT2));
  return (1 - tail) * body + tail * (x > 1 ? x ** -TAIL_EXPONENT : 1);
}

function quantileOf(tail: number, q: number): number {
  let [low, high] = [1, 1000];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (survival(middle, tail) > 1 - q) low = middle;
    else high = middle;
  }
  return high;
}

/** Complementary error function (Abramowitz & Stegun 7.1.26; error below 1.5e-7). */
function erfc(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-x * x);
  return x >= 0 ? tail : 2 - tail;
}
