import type { FailureActions } from '#agent/install/failure-handling.js';
import type { UpdateStep } from './decide/update-plan.js';
import { markReleaseBad } from './steps.js';
import type { UpdateContext } from './update-context.js';

/** Steps that bring the wanted release onto the device: the running one stays as it is when they fail. */
const INSTALLING: ReadonlySet<UpdateStep['kind']> = new Set<UpdateStep['kind']>([
  'fetchManifest',
  'fetchExecutable',
  'place',
  'stage',
  'lose',
  'handOver',
]);

/** What a failed step of self-update leads to. */
export function releaseFailureActions(context: UpdateContext): FailureActions<UpdateStep> {
  return {
    events: context.deps.events,
    isReplaceable: ({ kind }) => INSTALLING.has(kind),
    report: (_step, error) => {
      context.error = error;
    },
    makeSpace: () => context.deps.needSpace(),
    giveUp: async (step, error) => {
      if ('version' in step) await markReleaseBad(context, step.version, error);
    },
  };
}
