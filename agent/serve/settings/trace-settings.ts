import type { ModelName } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { LIMITS } from '#shared/kernel/limits.js';

/**
 * Triton's settings of traces, which it writes to a file. Here traces go out by OpenTelemetry, set at the start, so the level stays off;
 * the numbers are kept for clients that set and read them.
 */
export interface TraceSettings {
  readonly level: readonly ['OFF'];
  readonly rate: number;
  /** -1: no limit. */
  readonly count: number;
  readonly logFrequency: number;
}

/** null: back to what holds for all models, or to the start. */
export type TraceChanges = { readonly [K in 'rate' | 'count' | 'logFrequency']?: number | null };

const AT_START: TraceSettings = { level: ['OFF'], rate: 1000, count: -1, logFrequency: 0 };

export class TraceSettingsStore {
  #all: TraceChanges = {};
  readonly #models = new BoundedMap<ModelName, TraceChanges>(2 * LIMITS.modelsPerDevice);

  read(model?: ModelName): TraceSettings {
    const general = applied(AT_START, this.#all);
    const own = model === undefined ? undefined : this.#models.get(model);
    return own === undefined ? general : applied(general, own);
  }

  change(changes: TraceChanges, model?: ModelName): TraceSettings {
    if (model === undefined) this.#all = { ...this.#all, ...changes };
    else this.#models.set(model, { ...this.#models.get(model), ...changes });
    return this.read(model);
  }
}

function applied(base: TraceSettings, { rate, count, logFrequency }: TraceChanges): TraceSettings {
  return { ...base, rate: rate ?? base.rate, count: count ?? base.count, logFrequency: logFrequency ?? base.logFrequency };
}
