import type { PredictionRecorder, PredictionTarget, ServableControl } from '#agent/inference/contract.js';
import type { StateStore } from '#agent/store/contract.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';

const KEY = 'agent/run';
const UNDER_WAY = /^under way(?: (\d{1,16}))?$/;

export interface CrashWitnessParts {
  readonly state: Pick<StateStore, 'get' | 'set' | 'serving'>;
  readonly servables: Pick<ServableControl, 'onChange'>;
  readonly recorder: PredictionRecorder;
  readonly logger: Logger;
  /** The release of the agent that runs. */
  readonly agent: () => PredictionTarget;
}

/**
 * Notices that the agent's last run did not end in an orderly way, and counts that as a crash of the release of the agent that
 * ran then, and of each version that served, once it is loaded again. A power cut looks the same; it meets old and new versions alike.
 */
export class CrashWitness {
  readonly #parts: CrashWitnessParts;
  #stopListening: () => void = () => undefined;

  constructor(parts: CrashWitnessParts) {
    this.#parts = parts;
  }

  /** Before any version is loaded. */
  async start(): Promise<void> {
    const { state, servables, recorder, agent } = this.#parts;
    const last = UNDER_WAY.exec((await state.get(KEY)) ?? '');
    if (last !== null) {
      // Another release may run now: one on trial that ended is given up by the one before it.
      recorder.crashed({ ...agent(), version: versionNumberSchema.parse(Number(last[1] ?? agent().version)) });
      const waiting = new Map((await state.serving()).map(({ model, serving }) => [model, serving]));
      this.#stopListening = servables.onChange(({ model, version, variant, provider, state: now }) => {
        if (now !== 'available' || waiting.get(model) !== version || variant === undefined || provider === undefined) return;
        waiting.delete(model);
        recorder.crashed({ model, version, variant, provider, role: 'serving' });
      });
    }
    await this.#write(`under way ${agent().version}`);
  }

  /** The run ends in order. */
  async close(): Promise<void> {
    this.#stopListening();
    await this.#write('over');
  }

  async #write(value: string): Promise<void> {
    try {
      await this.#parts.state.set(KEY, value);
    } catch (cause) {
      this.#parts.logger.warn({ code: asSkerryError(cause).code }, 'whether this run ends in order could not be written down');
    }
  }
}
