import type { PredictionRecorder, PredictionTarget, ServableControl } from '#agent/inference/contract.js';
import type { CrashMemory } from '#agent/inference/faults/crash-memory.js';
import type { Suspect } from '#agent/inference/decide/witness-suspects.js';
import type { StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import { versionNumberSchema } from '#shared/bundle/names.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';

const KEY = 'agent/run';
const UNDER_WAY = /^under way(?: (\d{1,16}))?$/;

interface CrashWitnessParts {
  readonly state: Pick<StateStore, 'get' | 'set'>;
  readonly servables: Pick<ServableControl, 'onChange'>;
  readonly recorder: Pick<PredictionRecorder, 'crashed'>;
  readonly events: EventSink;
  readonly logger: Logger;
  /** The release of the agent that runs. */
  readonly agent: () => PredictionTarget;
  /** Versions that were in native code of this process when the last run ended; `undefined`: not known. */
  readonly suspects: readonly Suspect[] | undefined;
  readonly crashes: Pick<CrashMemory, 'blame'>;
}

const HOW = 'the agent ended while it was in native code';

/**
 * Notices that the agent's last run did not end in an orderly way, and counts that as a crash of the release of the agent that
 * ran then. A version counts it, too, when it alone was in native code; its inputs are refused for a while. Where several were,
 * it is not known whose fault it was: each runs in a process of its own from now on, where the next crash is its own.
 */
export class CrashWitness {
  readonly #parts: CrashWitnessParts;
  #stopListening: () => void = () => undefined;
  #isUnderWay = false;

  constructor(parts: CrashWitnessParts) {
    this.#parts = parts;
  }

  /** Before any version is loaded. */
  async start(): Promise<void> {
    const { state, recorder, agent } = this.#parts;
    const last = UNDER_WAY.exec((await state.get(KEY)) ?? '');
    if (last !== null) {
      // Another release may run now: one on trial that ended is given up by the one before it.
      recorder.crashed({ ...agent(), version: versionNumberSchema.parse(Number(last[1] ?? agent().version)) });
      await this.#accuse();
    }
    this.#isUnderWay = true;
    await this.#write(`under way ${agent().version}`);
  }

  /** The run ends in order. One that never began leaves what the last one wrote. */
  async close(): Promise<void> {
    this.#stopListening();
    if (this.#isUnderWay) await this.#write('over');
  }

  async #accuse(): Promise<void> {
    const { suspects = [], crashes, logger, events } = this.#parts;
    const [only] = suspects;
    const isAlone = only !== undefined && suspects.every(({ model, version }) => model === only.model && version === only.version);
    for (const { model, version, digest, work } of suspects) {
      const request = suspects.length === 1 && digest !== undefined ? { digest } : {};
      await crashes.blame({ model, version, certainty: 'suspected', why: HOW, ...request });
      const message = `${HOW} of ${model}@${version}`;
      logger.error({ code: 'INFERENCE_CRASHED', model, version, work, digest, alone: isAlone }, message);
      events.emit({
        kind: 'version.crashed',
        model,
        version,
        error: { code: 'INFERENCE_CRASHED', message },
        detail: { work, alone: isAlone },
      });
    }
    if (isAlone) this.#countOnceLoaded(only);
  }

  #countOnceLoaded(suspect: Suspect): void {
    const { servables, recorder } = this.#parts;
    this.#stopListening = servables.onChange(({ model, version, variant, provider, state }) => {
      if (state !== 'available' || variant === undefined || provider === undefined) return;
      if (model !== suspect.model || version !== suspect.version) return;
      this.#stopListening();
      recorder.crashed({ model, version, variant, provider, role: 'serving' });
    });
  }

  async #write(value: string): Promise<void> {
    try {
      await this.#parts.state.set(KEY, value);
    } catch (cause) {
      this.#parts.logger.warn({ code: asSkerryError(cause).code }, 'the end of this run could not be recorded');
    }
  }
}
