import { SkerryError } from '#shared/kernel/errors.js';
import type { InstallState } from '#shared/protocol/messages.js';

/** What can happen to a version on a device. */
export const INSTALL_EVENTS = [
  'begin',
  'fetched',
  'verified',
  'start',
  'switched',
  'proved',
  'superseded',
  'lost',
  'refuse',
  'retry',
] as const;
export type InstallEvent = (typeof INSTALL_EVENTS)[number];

type Row = Readonly<Partial<Record<InstallEvent, InstallState>>>;

/**
 * The one table of install states. Every transition is on disk before anything is done because of it, so each row is also
 * what a start of the agent finds; the planner has a next step for each (`plan.ts`).
 */
export const INSTALL_TABLE: Readonly<Record<InstallState, Row>> = {
  /** The desired state names it; nothing was done yet. */
  wanted: { begin: 'fetching', refuse: 'bad' },
  /** Manifest or artifacts are incomplete here. What is on disk tells which. */
  fetching: { fetched: 'verifying', refuse: 'bad' },
  /** Every file is here with its digest; whether it may be installed is being checked once more. */
  verifying: { verified: 'staged', lost: 'fetching', refuse: 'bad' },
  /** Complete, signed, allowed on this device; not serving, though perhaps loaded beside what serves. */
  staged: { start: 'starting', switched: 'probation', lost: 'fetching', refuse: 'bad' },
  /** An attempt to load it was begun and counted in `boots`: if the process ends now, it was perhaps this version. */
  starting: { start: 'starting', switched: 'probation', superseded: 'staged', lost: 'fetching', refuse: 'bad' },
  /** It serves, and is not yet trusted: the one before it is kept to go back to. */
  probation: { start: 'probation', proved: 'good', superseded: 'staged', lost: 'fetching', refuse: 'bad' },
  /** It served for the bake time without failing; it can be gone back to. */
  good: { start: 'good', switched: 'good', proved: 'good', superseded: 'good', lost: 'fetching', refuse: 'bad' },
  /** Never loaded again, unless the hub asks under another `attempt`. */
  bad: { retry: 'wanted' },
};

/** The state after `event`. An event without a row is a bug of ours: `MODELS_ILLEGAL_TRANSITION`. */
export function nextState(state: InstallState, event: InstallEvent): InstallState {
  const next = INSTALL_TABLE[state][event];
  if (next === undefined) throw new SkerryError('MODELS_ILLEGAL_TRANSITION', `a version in state ${state} can not take "${event}"`);
  return next;
}
