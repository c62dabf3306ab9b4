import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import { type InstallStep, type StepPlan, stepKey } from './decide/install-step.js';
import { Holds } from './holds.js';
import { SerialWorker } from './serial-worker.js';

/** Steps in a row without the plan ever becoming empty; beyond that the loop rests for a while. */
const MAX_STEPS_IN_A_ROW = 1_000;

/** A moment of the work at which a test looks, or cuts the power. */
export interface StepMoment<S> {
  readonly at: 'before' | 'after' | 'failed';
  readonly step: S;
}

export interface StepFailure {
  readonly error: SkerryError;
  /** How often this very step failed before. */
  readonly failedBefore: number;
}

interface StepLoopDeps<S extends InstallStep> {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  readonly retry: { readonly base: Millis; readonly max: Millis };
  /** What the steps are about, for the log: `model vad`. */
  readonly subject: string;
  /** Kinds of steps that are cancelled as soon as the plan no longer contains them; other steps run to their end. */
  readonly cancellable: ReadonlySet<S['kind']>;
  readonly plan: () => Promise<StepPlan<S>>;
  readonly execute: (step: S, signal: AbortSignal) => Promise<void>;
  /** Called after a step failed and was held. */
  readonly failed: (step: S, failure: StepFailure) => Promise<void>;
  /** Called after every round. */
  readonly changed: () => void;
  readonly observe?: ((moment: StepMoment<S>) => void | Promise<void>) | undefined;
}

/**
 * Plans and does one step after the other.
 * INVARIANTS: one step at a time, each planned from what is true when the one before it ended; a step that failed is held, longer each
 * time; when planning itself fails the loop rests and plans again later.
 */
export class StepLoop<S extends InstallStep> {
  readonly holds = new Holds();
  readonly #deps: StepLoopDeps<S>;
  readonly #worker = new SerialWorker((signal) => this.#advance(signal));
  #current: S | undefined;
  #stepsInARow = 0;
  #cancelWake: () => void = () => undefined;

  constructor(deps: StepLoopDeps<S>) {
    this.#deps = deps;
  }

  /** The step in progress. */
  get current(): S | undefined {
    return this.#current;
  }

  get busy(): boolean {
    return this.#worker.busy;
  }

  kick(): void {
    this.#worker.kick();
  }

  /** Something the plan depends on changed: plans again, at once where the step in progress is no longer in the plan and can be cancelled. */
  reconsider(): void {
    this.#worker.kick();
    const current = this.#current;
    if (current !== undefined && this.#deps.cancellable.has(current.kind)) void this.#cancelUnplanned(current);
  }

  /** A new wish of the hub ends the delays of the old one. */
  renew(): void {
    this.holds.clear();
    this.#stepsInARow = 0;
    this.reconsider();
  }

  /** Ends every delay before a retry. */
  retryNow(): void {
    this.holds.endWaits();
    this.#worker.kick();
  }

  /** Holds a step that failed; `failedBefore` where the count is not known from the step itself. */
  hold(step: InstallStep, failedBefore?: number): void {
    const { clock, retry, random } = this.#deps;
    this.holds.hold(step, clock.monotonic(), { ...retry, random }, failedBefore);
  }

  /** Resolves when the round in progress, if any, has ended. */
  settled(): Promise<void> {
    return this.#worker.settled();
  }

  async close(): Promise<void> {
    await this.#worker.close();
    this.#cancelWake();
  }

  async #advance(signal: AbortSignal): Promise<boolean> {
    const { clock, logger, retry, subject, plan, changed } = this.#deps;
    this.#cancelWake();
    try {
      const { step, wakeAt } = await plan();
      if (step === undefined) {
        this.#stepsInARow = 0;
        if (wakeAt !== undefined) this.#wakeAt(wakeAt);
        return false;
      }
      this.#stepsInARow += 1;
      if (this.#stepsInARow > MAX_STEPS_IN_A_ROW) {
        throw new SkerryError('MODELS_NO_PROGRESS', `the plan of ${subject} does not end, its last step is ${step.kind}`);
      }
      this.#current = step;
      await this.#run(step, signal);
      return true;
    } catch (cause) {
      const error = asSkerryError(cause);
      logger.error({ code: error.code }, `${subject}: planning failed: ${error.message}`);
      this.#stepsInARow = 0;
      this.#wakeAt(clock.monotonic() + retry.max);
      return false;
    } finally {
      this.#current = undefined;
      changed();
    }
  }

  async #run(step: S, signal: AbortSignal): Promise<void> {
    const { observe, execute } = this.#deps;
    try {
      await observe?.({ at: 'before', step });
      await execute(step, signal);
      this.holds.release(step);
      await observe?.({ at: 'after', step });
    } catch (cause) {
      if (!signal.aborted) await this.#failed(step, asSkerryError(cause));
    }
  }

  async #failed(step: S, error: SkerryError): Promise<void> {
    const failedBefore = this.holds.count(step);
    this.#logFailure(step, error);
    this.hold(step);
    try {
      await this.#deps.observe?.({ at: 'failed', step });
      await this.#deps.failed(step, { error, failedBefore });
    } catch (cause) {
      // What follows could not be stored. The step is held, and its next failure tries that again.
      this.#logFailure(step, asSkerryError(cause));
    }
  }

  #logFailure({ kind, version }: S, { code, message }: SkerryError): void {
    this.#deps.logger.warn(
      { code, step: kind, ...(version === undefined ? {} : { version }) },
      `${this.#deps.subject}: step failed: ${message}`,
    );
  }

  async #cancelUnplanned(current: S): Promise<void> {
    // When planning fails here the step goes on; the loop plans again at its end.
    const { step } = await this.#deps.plan().catch(() => ({ step: current }));
    const isPlanned = step !== undefined && stepKey(step) === stepKey(current);
    if (!isPlanned && this.#current === current) this.#worker.abort();
  }

  #wakeAt(at: Millis): void {
    const { clock } = this.#deps;
    this.#cancelWake();
    this.#cancelWake = clock.schedule(Math.max(1, at - clock.monotonic()), () => this.#worker.kick());
  }
}
