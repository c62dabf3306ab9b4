import { SkerryError } from '#shared/kernel/errors.js';

/**
 * States of a rollout; each is a promise about the devices.
 * - `draft`: recorded; nobody was told anything.
 * - `scheduled`: the wave is next and waits for its time; devices of earlier waves keep what they have.
 * - `awaiting-approval`: the wave is next and waits for a person.
 * - `installing`: devices of the wave are being told, never more than `maxInFlight` undecided.
 * - `baking`: every device of the wave is decided; the bake time runs.
 * - `evaluating`: the bake time is over; some gate or the least evidence is still lacking.
 * - `paused`: nobody is told anything new; who was told goes on.
 * - `ending`: a shadow or an A/B passed; devices are told to drop the version beside theirs, proven by their reports.
 * - `rolling-back`: devices are being told to go back; proven by their reports.
 * - `completed`: every wave passed; what the rollout did stands as a deployment, and nothing is watched any more. `rolled-back`: every device that was told anything went back, or is named as unproven.
 * - `aborted`: ended by a person; who had the version keeps it, who was on the way went back.
 * - `superseded`: a newer rollout took over.
 */
export const ROLLOUT_STATES = [
  'draft',
  'scheduled',
  'awaiting-approval',
  'installing',
  'baking',
  'evaluating',
  'paused',
  'ending',
  'rolling-back',
  'completed',
  'rolled-back',
  'aborted',
  'superseded',
] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/** What people do. */
export const OPERATOR_EVENTS = ['start', 'pause', 'resume', 'approve', 'abort', 'rollback', 'retry', 'exclude', 'supersede'] as const;
export type OperatorEvent = (typeof OPERATOR_EVENTS)[number];

/** What the hub finds by itself, from time and figures. */
export const AUTOMATIC_EVENTS = [
  'need-approval',
  'begin-wave',
  'all-decided',
  'baked',
  'wave-passed',
  'finished',
  'gate-failed-pause',
  'gate-failed-rollback',
  'gate-error',
  'deadline',
  'reverted',
] as const;
export type AutomaticEvent = (typeof AUTOMATIC_EVENTS)[number];

/** What the hub sees of the fleet: devices of the rollout are gone. */
const FLEET_EVENTS = ['release'] as const;

export const ROLLOUT_EVENTS = [...OPERATOR_EVENTS, ...AUTOMATIC_EVENTS, ...FLEET_EVENTS] as const;
export type RolloutEvent = (typeof ROLLOUT_EVENTS)[number];

const STOPS = {
  'gate-failed-pause': ['paused'],
  'gate-failed-rollback': ['rolling-back'],
  'gate-error': ['paused'],
  deadline: ['paused'],
} as const satisfies Row;
const HANDS = {
  pause: ['paused'],
  abort: ['rolling-back'],
  rollback: ['rolling-back'],
  supersede: ['superseded'],
} as const satisfies Row;

/** Events that change who takes part and nothing else: the state goes on as it was, since when it was. */
export const STAYING_EVENTS: ReadonlySet<RolloutEvent> = new Set(['exclude', 'release']);

type Row = Readonly<Partial<Record<RolloutEvent, readonly RolloutState[]>>>;

/** While a rollout is active, devices may be taken out of it and may leave by themselves. */
function members<S extends RolloutState>(state: S): { readonly exclude: readonly [S]; readonly release: readonly [S] } {
  return { exclude: [state], release: [state] };
}

/**
 * The one transition table. Most events lead to one state; where several are listed, the rollout's own record says which:
 * `resume` returns to the state that was paused, `retry` begins no wave that had not begun, `finished` ends a trial beside the old version first, and `reverted` ends what
 * the way back was for.
 */
export const TRANSITIONS: Readonly<Record<RolloutState, Row>> = {
  draft: { start: ['scheduled'], abort: ['rolling-back'], supersede: ['superseded'], ...members('draft') },
  scheduled: { 'need-approval': ['awaiting-approval'], 'begin-wave': ['installing'], ...HANDS, ...members('scheduled') },
  'awaiting-approval': { approve: ['scheduled'], ...HANDS, ...members('awaiting-approval') },
  installing: { 'all-decided': ['baking'], retry: ['installing'], ...STOPS, ...HANDS, ...members('installing') },
  baking: { baked: ['evaluating'], retry: ['installing'], ...STOPS, ...HANDS, ...members('baking') },
  evaluating: {
    'wave-passed': ['scheduled'],
    finished: ['completed', 'ending'],
    retry: ['installing'],
    ...STOPS,
    ...HANDS,
    ...members('evaluating'),
  },
  paused: {
    resume: ['scheduled', 'awaiting-approval', 'installing', 'baking', 'evaluating'],
    retry: ['installing', 'scheduled'],
    abort: ['rolling-back'],
    rollback: ['rolling-back'],
    supersede: ['superseded'],
    ...members('paused'),
  },
  ending: { reverted: ['completed'], rollback: ['rolling-back'], supersede: ['superseded'], ...members('ending') },
  'rolling-back': {
    reverted: ['rolled-back', 'paused', 'aborted'],
    rollback: ['rolling-back'],
    supersede: ['superseded'],
    ...members('rolling-back'),
  },
  completed: { rollback: ['rolling-back'], retry: ['installing'] },
  'rolled-back': {},
  aborted: { rollback: ['rolling-back'] },
  superseded: {},
};

/** The states an event may lead to from a state; throws `ROLLOUT_TRANSITION` when the table has no row for it. */
export function targetsOf(state: RolloutState, event: RolloutEvent): readonly RolloutState[] {
  const targets = TRANSITIONS[state][event];
  if (targets === undefined)
    throw new SkerryError('ROLLOUT_TRANSITION', `state "${state}" does not accept "${event}"`, { details: { state, event } });
  return targets;
}

/** States in which an operator may do something: what API, command line and dashboard show and check (read from the table). */
export function statesAllowing(event: OperatorEvent): RolloutState[] {
  return ROLLOUT_STATES.filter((state) => TRANSITIONS[state][event] !== undefined);
}

/** What operators may do in a state. */
export function actionsIn(state: RolloutState): OperatorEvent[] {
  return OPERATOR_EVENTS.filter((event) => TRANSITIONS[state][event] !== undefined);
}

/** True while it alone decides about its model on the devices of its cohort: a draft does not yet, what has ended does no more. */
export function isUnderWay(state: RolloutState): boolean {
  return isActive(state) && state !== 'draft';
}

/** True while devices are told to go back, or to end a trial. */
export function isReturning(state: RolloutState): boolean {
  return state === 'rolling-back' || state === 'ending';
}

/** True while the rollout may still tell a device something new by itself. */
export function isActive(state: RolloutState): boolean {
  return state !== 'completed' && state !== 'rolled-back' && state !== 'aborted' && state !== 'superseded';
}
