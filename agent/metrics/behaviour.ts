import type { Answer, PredictionRecorder, PredictionTarget, PredictionTiming } from '#agent/inference/contract.js';
import type { BehaviourFigures, BehaviourSource } from '#agent/models/ports.js';
import { type ModelName, type VersionNumber, versionKey } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { blameFor } from '#shared/kernel/error-registry.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

/** How long a version's behaviour is remembered: so much, in cells of so much. */
const CELL = minutes(1);
const CELLS = 30;
/** Versions remembered: each may hold a sketch for every cell, so fewer than of what is a number. */
const MOST_VERSIONS = 2 * LIMITS.modelsPerDevice;

interface Sums {
  predictions: number;
  failed: number;
  refused: number;
  crashes: number;
  readonly latency: QuantileSketch;
}

interface Kept {
  /** Oldest first. */
  readonly cells: { readonly from: Millis; readonly sums: Sums }[];
  trial: Sums | undefined;
}

/**
 * Remembers how versions behaved on this device: the last half hour of each, and everything since its trial began. A request
 * whose caller went away or allowed too little time, or that found the queue full, counts as nothing, one refused for what its caller
 * sent is no prediction; an answer with values that are not finite counts as failed, as it would for a person, unless golden samples
 * of the version show such values.
 */
export class BehaviourBook implements PredictionRecorder, BehaviourSource {
  readonly #clock: Clock;
  /** Versions that were asked longest ago are evicted first. */
  readonly #kept = new BoundedMap<string, Kept>(MOST_VERSIONS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  succeeded(target: PredictionTarget, { total }: PredictionTiming, answer?: Answer): void {
    if (target.role === 'shadow') return;
    this.#add(target, (sums) => {
      sums.predictions++;
      if (answer?.notFinite === true) sums.failed++;
      sums.latency.add(Math.max(0, total));
    });
  }

  failed(target: PredictionTarget | undefined, code: string): void {
    if (target === undefined || target.role === 'shadow') return;
    const blame = blameFor(code);
    if (blame === 'nobody') return;
    this.#add(target, (sums) => {
      if (blame === 'request') sums.refused++;
      else {
        sums.predictions++;
        sums.failed++;
      }
    });
  }

  crashed(target: PredictionTarget): void {
    this.#add(target, (sums) => {
      sums.crashes++;
    });
  }

  rechecked(): void {}

  shadowed(): void {}

  shadowDropped(): void {}

  begin(model: ModelName, version: VersionNumber): void {
    this.#open(model, version).trial = empty();
  }

  recent(model: ModelName, version: VersionNumber): BehaviourFigures {
    const sum = empty();
    for (const { from, sums } of this.#kept.get(versionKey(model, version))?.cells ?? []) {
      if (this.#clock.monotonic() - from >= CELL * CELLS) continue;
      sum.predictions += sums.predictions;
      sum.failed += sums.failed;
      sum.refused += sums.refused;
      sum.crashes += sums.crashes;
      sum.latency.merge(sums.latency);
    }
    return sum;
  }

  trial(model: ModelName, version: VersionNumber): BehaviourFigures | undefined {
    return this.#kept.get(versionKey(model, version))?.trial;
  }

  forget(model: ModelName, version: VersionNumber): void {
    this.#kept.delete(versionKey(model, version));
  }

  #add({ model, version }: PredictionTarget, change: (sums: Sums) => void): void {
    const kept = this.#open(model, version);
    const now = this.#clock.monotonic();
    let last = kept.cells.at(-1);
    if (last === undefined || now - last.from >= CELL) {
      last = { from: now, sums: empty() };
      kept.cells.push(last);
      this.#kept.set(versionKey(model, version), kept); // Now the newest.
      if (kept.cells.length > CELLS) kept.cells.shift();
    }
    change(last.sums);
    if (kept.trial !== undefined) change(kept.trial);
  }

  #open(model: ModelName, version: VersionNumber): Kept {
    const key = versionKey(model, version);
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const kept: Kept = { cells: [], trial: undefined };
    this.#kept.set(key, kept);
    return kept;
  }
}

function empty(): Sums {
  return { predictions: 0, failed: 0, refused: 0, crashes: 0, latency: new QuantileSketch() };
}
