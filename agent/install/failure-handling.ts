import type { ModelName } from '#shared/bundle/names.js';
import type { EventSink } from '#agent/store/events.js';
import type { InstallStep, StepError } from './decide/install-step.js';
import { judge, type Verdict } from './decide/judge.js';
import type { StepFailure } from './step-loop.js';

export interface Judged {
  readonly verdict: Verdict;
  /** The device serves as well without the version. */
  readonly replaceable: boolean;
}

/** What a failed step leads to; one object for each kind of version. */
export interface FailureActions<S extends InstallStep> {
  readonly events: EventSink;
  readonly isReplaceable: (step: S) => boolean | Promise<boolean>;
  /** Reports why the step failed, until it succeeds. */
  readonly report: (step: S, error: StepError | undefined) => void;
  /** A write found no space. */
  readonly makeSpace: () => void;
  /** Repairs what made the step fail; true when that is done and nothing counts against the version. */
  readonly repair?: (step: S, judged: Judged) => Promise<boolean>;
  /** Marks the version bad. */
  readonly giveUp: (step: S, error: StepError) => Promise<void>;
}

/** Judges a failed step of `model` and does what follows. The caller holds the step meanwhile. */
export async function handleFailure<S extends InstallStep>(
  model: ModelName,
  step: S,
  { error, failedBefore }: StepFailure,
  actions: FailureActions<S>,
): Promise<void> {
  const replaceable = await actions.isReplaceable(step);
  const verdict = judge({ loads: step.kind === 'load', code: error.code, failedBefore, replaceable });
  if (verdict === 'drop') return;
  const reported = { code: error.code, message: error.message };
  actions.report(step, reported);
  if (verdict === 'space') {
    actions.makeSpace();
    const { version } = step;
    if (failedBefore > 0) return;
    actions.events.emit({ kind: 'disk.full', model, ...(version === undefined ? {} : { version }), error: reported });
  } else if ((await actions.repair?.(step, { verdict, replaceable })) === true) actions.report(step, undefined);
  else if (verdict === 'refuse') await actions.giveUp(step, reported);
}
