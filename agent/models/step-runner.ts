import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { asSkerryError, hasCode, type SkerryError } from '#shared/kernel/errors.js';
import { execute } from './executor.js';
import { fallbacks, selfServing } from './decide/facts.js';
import type { Holds } from './holds.js';
import { judge, type Verdict } from './decide/judge.js';
import type { ModelManagerDeps } from './manager.js';
import { planContext } from './decide/plan.js';
import type { DeviceSnapshot } from './decide/snapshot.js';
import type { Step, StepError } from './decide/step.js';
import type { StepContext } from './steps/context.js';
import { giveUp, recoverDamaged } from './steps/verdicts.js';

export interface StepRunnerDeps extends Pick<ModelManagerDeps, 'clock' | 'events' | 'logger' | 'observe' | 'random' | 'settings'> {
  readonly context: StepContext;
  survey(): Promise<DeviceSnapshot>;
  /** A write found no space. */
  onDiskFull(): void;
}

/** A hold is found by kind and version. */
const NO_ERROR: StepError = { code: '', message: '' };

interface Judged {
  readonly verdict: Verdict;
  readonly failedBefore: number;
  readonly replaceable: boolean;
  readonly holds: Holds;
}

/** Does steps, and what follows when one fails: a delay, space to be made, files fetched again, or a version marked bad. */
export class StepRunner {
  readonly #deps: StepRunnerDeps;

  constructor(deps: StepRunnerDeps) {
    this.#deps = deps;
  }

  /** Resolves when the step is done or its failure dealt with; never rejects. */
  async run(step: Step, holds: Holds, signal: AbortSignal): Promise<void> {
    const { context, observe } = this.#deps;
    try {
      await observe?.({ at: 'before', step });
      await execute(step, context, signal);
      holds.succeeded(step);
      if (step.kind === 'load') holds.succeeded({ ...step, kind: 'markBad', error: NO_ERROR });
      if ('version' in step) context.progress.setError(step.model, step.version, undefined);
      await observe?.({ at: 'after', step });
    } catch (cause) {
      if (!signal.aborted) await this.#failed(step, holds, asSkerryError(cause));
    }
  }

  /** The step may not be tried again before a delay, longer each time: `failedBefore` times, when that is not known from it. */
  hold(step: Step, holds: Holds, failedBefore?: number): void {
    const { clock, settings, random } = this.#deps;
    holds.hold(step, clock.monotonic(), { ...settings.retry, random }, failedBefore);
  }

  async #failed(step: Step, holds: Holds, error: SkerryError): Promise<void> {
    const failedBefore = holds.count(step);
    this.#log(step, error);
    this.hold(step, holds);
    try {
      await this.#deps.observe?.({ at: 'failed', step });
      const replaceable = await this.#isReplaceable(step);
      const verdict = judge({ step: step.kind, code: error.code, failedBefore, replaceable });
      await this.#follow(step, { verdict, failedBefore, replaceable, holds }, error);
    } catch (cause) {
      // What follows could not be written down; the step is held, and what follows is tried again with it.
      this.#log(step, asSkerryError(cause));
    }
  }

  /** Marks a version bad; where that cannot be written down, the plan knows that it is to be (DESIGN R2). */
  async #giveUp(
    step: Step & { readonly version: VersionNumber; readonly model: ModelName },
    holds: Holds,
    error: StepError,
  ): Promise<void> {
    const { model, version } = step;
    try {
      await giveUp(this.#deps.context, model, version, error);
    } catch (cause) {
      this.hold({ kind: 'markBad', model, version, error }, holds);
      throw cause;
    }
  }

  async #follow(step: Step, judged: Judged, error: SkerryError): Promise<void> {
    const { context, events } = this.#deps;
    const { verdict, failedBefore, holds } = judged;
    if (verdict === 'drop' || !('version' in step)) return;
    const { model, version } = step;
    const told = { code: error.code, message: error.message };
    context.progress.setError(model, version, told);
    if (verdict === 'space') {
      this.#deps.onDiskFull();
      if (failedBefore === 0) events.emit({ kind: 'disk.full', model, version, error: told });
    } else if (step.kind === 'load' && (await this.#filesWereDamaged(step, judged))) {
      context.progress.setError(model, version, undefined);
    } else if (verdict === 'refuse') await this.#giveUp(step, holds, told);
  }

  /** A load may fail because of the disk and not because of the version: then the files are fetched again. */
  async #filesWereDamaged(step: Step<'load'>, { verdict, replaceable, holds }: Judged): Promise<boolean> {
    try {
      return await recoverDamaged(this.#deps.context, step.model, step.version);
    } catch (cause) {
      const error = asSkerryError(cause);
      // Files that cannot even be read say nothing for the version.
      if (!hasCode(error, 'MODELS_LOOP') && verdict === 'refuse') return false;
      if (!hasCode(error, 'MODELS_LOOP') || !replaceable) throw cause;
      await this.#giveUp(step, holds, { code: error.code, message: error.message });
      return true;
    }
  }

  /** True when giving the step's version up leaves the model served as well as before (DESIGN R2). */
  async #isReplaceable(step: Step): Promise<boolean> {
    if (!('version' in step)) return false;
    const { ledger } = this.#deps.context;
    const { serving, lastKnownGood } = ledger.serving(step.model) ?? {};
    // What served may have to be installed again: its files were lost.
    const isGood = ledger.find(step.model, step.version)?.install === 'good';
    const served = isGood || step.version === serving || step.version === lastKnownGood;
    const trial = step.kind === 'load' ? step.purpose === 'install' && !served : serving !== step.version;
    if (trial) return true;
    const { device, complete } = planContext(await this.#deps.survey());
    const model = device.models.find((snapshot) => snapshot.model === step.model);
    if (model === undefined) return false;
    const others = [selfServing(model, complete), ...fallbacks(model, complete)];
    return others.some((facts) => facts !== undefined && facts.record.version !== step.version);
  }

  #log(step: Step, error: SkerryError): void {
    const about = 'version' in step ? { model: step.model, version: step.version } : { model: step.model };
    this.#deps.logger.warn({ code: error.code, step: step.kind, ...about }, `step failed: ${error.message}`);
  }
}
