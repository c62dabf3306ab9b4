import type { EpochMillis, Millis } from '#shared/kernel/clock.js';
import { minutes } from '#shared/kernel/clock.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { GateFigures } from '../figures.js';
import { type Gate, gateName, type RateName } from '../gate-document.js';
import { ComparisonMeter, MAX_STRATA } from './comparison-meter.js';
import { meterOf } from './meters.js';
import { OutputBook } from './outputs.js';
import type { Evidence } from './source.js';
import type { Baseline, DeviceWindow, Group, Tally } from './window.js';

export interface BookOptions {
  readonly gates: readonly Gate[];
  /** Begin of the wave. */
  readonly from: EpochMillis;
  /** Longest the wave may take; it is cut into strata of equal length. */
  readonly lasts: Millis;
  /** What a device reported before the wave on the old version. */
  readonly baseline: (device: DeviceId) => Baseline | undefined;
  /** The same of all devices together. */
  readonly fleet: Baseline | undefined;
}

const RATE_FIELDS = {
  errors: 'errors',
  crashes: 'crashes',
  disagreement: 'golden',
  'shadow-disagreement': 'shadow',
  'wrong-answers': 'feedback',
} as const satisfies Record<RateName, keyof DeviceWindow>;

/**
 * Collects what devices reported during a wave and gives the figures of its gates. Order and grouping of the windows do
 * not matter; each is added once.
 */
export class EvidenceBook {
  readonly #options: BookOptions;
  readonly #comparisons = new Map<string, ComparisonMeter>();
  readonly #rateNames: readonly RateName[];
  readonly #rates = new Map<RateName, { events: number; exposure: number; devices: Set<DeviceId> }>();
  readonly #outputs = new OutputBook();
  /** Canary errors by start of window, for burn rates. */
  readonly #recent = new Map<EpochMillis, { events: number; exposure: number }>();
  readonly #reporting = new Set<DeviceId>();
  #predictions = 0;

  constructor(options: BookOptions) {
    this.#options = options;
    this.#rateNames = [...new Set(options.gates.flatMap(rateOf))];
    const width = Math.max(minutes(1), options.lasts / MAX_STRATA);
    for (const gate of options.gates) {
      const meter = meterOf(gate, options.fleet);
      if (meter !== undefined) this.#comparisons.set(gateName(gate), new ComparisonMeter(gateName(gate), meter, options.from, width));
    }
  }

  add(window: DeviceWindow, group: Group): void {
    const baseline = this.#options.baseline(window.device);
    for (const meter of this.#comparisons.values()) meter.add(window, group, baseline);
    this.#outputs.add(window, group);
    if (group === 'control') return;
    this.#predictions += window.errors.exposure;
    if (window.errors.exposure > 0) this.#reporting.add(window.device);
    const recent = this.#recent.get(window.from) ?? { events: 0, exposure: 0 };
    this.#recent.set(window.from, plus(recent, window.errors));
    for (const name of this.#rateNames) {
      const tally = window[RATE_FIELDS[name]];
      if (tally !== undefined) this.#addRate(name, window.device, tally);
    }
  }

  /** Figures as of `to`. */
  figures(to: EpochMillis): Evidence {
    return {
      evidence: { predictions: this.#predictions, devices: this.#reporting.size },
      gates: this.#options.gates.filter((gate) => gate.gate !== 'install').map((gate) => this.#figuresOf(gate, to)),
    };
  }

  #figuresOf(gate: Gate, to: EpochMillis): GateFigures {
    const name = gateName(gate);
    const comparison = this.#comparisons.get(name);
    if (comparison !== undefined) return comparison.figures();
    const [rate] = rateOf(gate);
    if (rate !== undefined) return this.#rate(name, rate);
    if (gate.gate === 'drift') return this.#outputs.figures(name);
    if (gate.gate === 'burn') return { gate: name, kind: 'burn', long: this.#since(to - gate.long), short: this.#since(to - gate.short) };
    return { gate: name, kind: 'failed', why: 'no figures are collected for this gate' };
  }

  #rate(gate: string, name: RateName): GateFigures {
    const rate = this.#rates.get(name);
    if (rate === undefined) return { gate, kind: 'missing', why: `no device reported ${name}` };
    return { gate, kind: 'rate', events: rate.events, exposure: rate.exposure, devices: rate.devices.size };
  }

  #since(from: EpochMillis): Tally {
    let sum: Tally = { events: 0, exposure: 0 };
    for (const [at, tally] of this.#recent) if (at >= from) sum = plus(sum, tally);
    return sum;
  }

  #addRate(name: RateName, device: DeviceId, tally: Tally): void {
    const rate = this.#rates.get(name) ?? { events: 0, exposure: 0, devices: new Set() };
    rate.events += tally.events;
    rate.exposure += tally.exposure;
    rate.devices.add(device);
    this.#rates.set(name, rate);
  }
}

/** The rate a gate with a fixed limit looks at. */
function rateOf(gate: Gate): RateName[] {
  if (gate.gate === 'disagreement') return [gate.source === 'shadow' ? 'shadow-disagreement' : 'disagreement'];
  return gate.gate === 'limit' ? [gate.of] : [];
}

function plus(a: Tally, b: Tally): { events: number; exposure: number } {
  return { events: a.events + b.events, exposure: a.exposure + b.exposure };
}
