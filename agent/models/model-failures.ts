import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import type { FailureActions, Judged } from '#agent/install/failure-handling.js';
import { fallbacks, selfServing } from './decide/facts.js';
import { planContext } from './decide/plan.js';
import type { DeviceSnapshot } from './decide/snapshot.js';
import type { VersionStep } from './decide/step.js';
import type { StepContext } from './steps/context.js';
import { giveUp, recoverDamaged } from './steps/verdicts.js';

interface ModelFailureDeps {
  readonly context: StepContext;
  readonly survey: () => Promise<DeviceSnapshot>;
  readonly makeSpace: () => void;
  /** Holds a step of the model, as one that failed. */
  readonly hold: (step: VersionStep) => void;
}

/** What a failed step of a model leads to. */
export function modelFailureActions({ context, survey, makeSpace, hold }: ModelFailureDeps): FailureActions<VersionStep> {
  const actions: FailureActions<VersionStep> = {
    events: context.events,
    isReplaceable: (step) => isReplaceable(step, context, survey),
    report: ({ model, version }, error) => context.progress.setError(model, version, error),
    makeSpace,
    repair: async (step, judged) => step.kind === 'load' && (await filesWereDamaged(step, judged, context, actions.giveUp)),
    giveUp: async (step, error) => {
      const { model, version } = step;
      try {
        await giveUp(context, model, version, error);
      } catch (cause) {
        // That could not be stored; planning sees the hold and goes on without the version (R2).
        hold({ kind: 'markBad', model, version, error });
        throw cause;
      }
    },
  };
  return actions;
}

/** A load may fail because of the disk and not because of the version: then the files are fetched again. */
async function filesWereDamaged(
  step: VersionStep,
  { verdict, replaceable }: Judged,
  context: StepContext,
  markBad: FailureActions<VersionStep>['giveUp'],
): Promise<boolean> {
  try {
    return await recoverDamaged(context, step.model, step.version);
  } catch (cause) {
    const error = asSkerryError(cause);
    // Files that cannot be read say nothing in favour of the version.
    if (!hasCode(error, 'MODELS_NO_PROGRESS') && verdict === 'refuse') return false;
    if (!hasCode(error, 'MODELS_NO_PROGRESS') || !replaceable) throw cause;
    await markBad(step, { code: error.code, message: error.message });
    return true;
  }
}

/** True when giving up the step's version leaves the model served as well as before (R2). */
async function isReplaceable(step: VersionStep, { ledger }: StepContext, survey: () => Promise<DeviceSnapshot>): Promise<boolean> {
  const { serving, lastKnownGood } = ledger.serving(step.model) ?? {};
  // A version that served may have to be installed again: its files were lost.
  const isGood = ledger.find(step.model, step.version)?.install === 'good';
  const served = isGood || step.version === serving || step.version === lastKnownGood;
  const isTrial = step.kind === 'load' ? step.purpose === 'install' && !served : serving !== step.version;
  if (isTrial) return true;
  const { device, complete } = planContext(await survey());
  const model = device.models.find((snapshot) => snapshot.model === step.model);
  if (model === undefined) return false;
  const others = [selfServing(model, complete), ...fallbacks(model, complete)];
  return others.some((facts) => facts !== undefined && facts.record.version !== step.version);
}
