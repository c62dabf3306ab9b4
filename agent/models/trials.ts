import { z } from 'zod';
import { modelNameSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { StateStore } from '#agent/store/contract.js';
import { BREAKER_LIMIT } from './decide/guard.js';
import type { BehaviourFigures } from './ports.js';

const KEY = 'models/trials';
const MAX_BYTES = 4 * 1024 * 1024;

const count = z.int().min(0);
const baselineSchema = z.object({
  /** The version on trial these figures are kept for. */
  version: versionNumberSchema,
  predictions: count,
  failed: count,
  /** Not kept by releases that counted these requests as failed. */
  refused: count.default(0),
  crashes: count,
  latency: z.base64(),
});
const breakerSchema = z.object({
  /** When the device last took versions back by itself, milliseconds since the epoch by its clock. */
  times: z.array(z.number()).max(BREAKER_LIMIT),
  /** The attempt of the version it took back last. */
  attempt: count,
});
const storedSchema = z.array(z.object({ model: modelNameSchema, baseline: baselineSchema.optional(), breaker: breakerSchema.optional() }));

type Breaker = z.infer<typeof breakerSchema>;

interface Kept {
  readonly baseline: { readonly version: VersionNumber; readonly figures: BehaviourFigures } | undefined;
  readonly breaker: Breaker | undefined;
}

/**
 * What trials are judged by and what outlives a restart: how the version before behaved, and how often the device went back
 * by itself. When it cannot be written it is known until the agent ends: a full disk must not keep a device from serving.
 */
export class Trials {
  readonly #state: Pick<StateStore, 'get' | 'set'>;
  readonly #logger: Logger;
  readonly #kept = new BoundedMap<ModelName, Kept>(LIMITS.modelsPerDevice);

  private constructor(state: Pick<StateStore, 'get' | 'set'>, logger: Logger) {
    this.#state = state;
    this.#logger = logger;
  }

  /** What cannot be read is forgotten, and said. */
  static async load(state: Pick<StateStore, 'get' | 'set'>, logger: Logger): Promise<Trials> {
    const trials = new Trials(state, logger);
    const text = await state.get(KEY);
    if (text === undefined) return trials;
    try {
      const stored = parseJson(storedSchema, new TextEncoder().encode(text), {
        what: 'the trials',
        maxBytes: MAX_BYTES,
        code: 'STORE_FAILED',
      });
      for (const { model, baseline, breaker } of stored) {
        const figures = baseline && { ...baseline, latency: QuantileSketch.decode(Buffer.from(baseline.latency, 'base64')) };
        trials.#kept.set(model, { baseline: figures && { version: figures.version, figures }, breaker });
      }
    } catch (cause) {
      logger.warn({ code: asSkerryError(cause).code }, 'the figures of trials are unreadable; starting with empty ones');
    }
    return trials;
  }

  /** How the version before behaved, when `version` was switched to. */
  baseline(model: ModelName, version: VersionNumber): BehaviourFigures | undefined {
    const kept = this.#kept.get(model)?.baseline;
    return kept?.version === version ? kept.figures : undefined;
  }

  breaker(model: ModelName): Breaker | undefined {
    return this.#kept.get(model)?.breaker;
  }

  /** A trial begins; `before` is how the version it replaces behaved. */
  async begin(model: ModelName, version: VersionNumber, before: BehaviourFigures | undefined): Promise<void> {
    const baseline = before && { version, figures: { ...before, latency: before.latency.clone() } };
    await this.#put(model, { baseline, breaker: this.breaker(model) });
  }

  /** The device went back by itself from a version that was tried under `attempt`. */
  async wentBack(model: ModelName, attempt: number, now: number): Promise<void> {
    const times = [...(this.breaker(model)?.times ?? []), now].slice(-BREAKER_LIMIT);
    await this.#put(model, { baseline: undefined, breaker: { times, attempt } });
  }

  async #put(model: ModelName, kept: Kept): Promise<void> {
    this.#kept.set(model, kept);
    const stored: z.infer<typeof storedSchema> = [...this.#kept].map(([name, { baseline, breaker }]) => ({
      model: name,
      ...(baseline && {
        baseline: {
          version: baseline.version,
          predictions: baseline.figures.predictions,
          failed: baseline.figures.failed,
          refused: baseline.figures.refused,
          crashes: baseline.figures.crashes,
          latency: Buffer.from(baseline.figures.latency.encode()).toString('base64'),
        },
      }),
      ...(breaker && { breaker }),
    }));
    try {
      await this.#state.set(KEY, JSON.stringify(stored));
    } catch (cause) {
      this.#logger.warn({ model, code: asSkerryError(cause).code }, 'the figures of a trial could not be stored');
    }
  }
}
