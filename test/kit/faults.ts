import path from 'node:path';
import type { Moment } from '#agent/models/observe.js';
import type { WrittenAct } from '#hub/rollouts/adapters/observed-store.js';
import { PROJECT_ROOT } from './processes.js';

/** What a program started from `AGENT_WITH_FAULTS` or `HUB_WITH_FAULTS` does beside its work. */
export interface Faults {
  /** Ends itself with SIGKILL at the first moment of this name. */
  readonly killAt?: string;
  /** Appends the name of every moment to this file; agents only. */
  readonly trace?: string;
}

export const FAULTS_VARIABLE = 'FAULTS';
export const HUB_WITH_FAULTS = path.join(PROJECT_ROOT, 'dist/test/kit/hub-with-faults.js');
/** Names the features that an agent started from `AGENT_LACKING` does not have. */
export const LACKS_VARIABLE = 'LACKS';
export const AGENT_LACKING = path.join(PROJECT_ROOT, 'dist/test/kit/agent-lacking.js');
export const AGENT_WITH_FAULTS = path.join(PROJECT_ROOT, 'dist/test/kit/agent-with-faults.js');

/** One line for a moment: `before load 2`, `persisted staged 2`, `after fetchArtifact 2 1a2b3c4d`. */
export function momentName(moment: Moment): string {
  if (moment.at === 'persisted') return `persisted ${moment.state} ${moment.version}`;
  const { step } = moment;
  const version = 'version' in step ? ` ${step.version}` : '';
  const digest = 'digest' in step ? ` ${step.digest.slice(0, 8)}` : '';
  return `${moment.at} ${step.kind}${version}${digest}`;
}

/** `decision begin-wave 0`, `wishes 0`. */
export function writtenName(act: WrittenAct): string {
  return act.kind === 'decision' ? `decision ${act.event} ${act.wave}` : `wishes ${act.wave}`;
}
