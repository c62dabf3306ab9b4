import type { PredictionRecorder, ServableControl } from '#agent/inference/contract.js';
import type { StateStore } from '#agent/store/contract.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';

const KEY = 'agent/run';
const UNDER_WAY = 'under way';

export interface CrashWitnessParts {
  readonly state: Pick<StateStore, 'get' | 'set' | 'serving'>;
  readonly servables: Pick<ServableControl, 'onChange'>;
  readonly recorder: PredictionRecorder;
  readonly logger: Logger;
}

/**
 * Notices that the agent's last run did not end in an orderly way, and counts that as a crash of each version that served
 * then, once it is loaded again. A power cut looks the same; it meets old and new versions alike.
 */
export class CrashWitness {
  readonly #parts: CrashWitnessParts;
  #stopListening: () => void = () => undefined;

  constructor(parts: CrashWitnessParts) {
    this.#parts = parts;
  }

  /** Before any version is loaded. */
  async start(): Promise<void> {
    const { state, servables, recorder } = this.#parts;
    if ((await state.get(KEY)) === UNDER_WAY) {
      const waiting = new Map((await state.serving()).map(({ model, serving }) => [model, serving]));
      this.#stopListening = servables.onChange(({ model, version, variant, provider, state: now }) => {
        if (now !== 'available' || waiting.get(model) !== version || variant === undefined || provider === undefined) return;
        waiting.delete(model);
        recorder.crashed({ model, version, variant, provider, role: 'serving' });
      });
    }
    await this.#write(UNDER_WAY);
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
