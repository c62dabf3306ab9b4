import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { isBeside } from '../document.js';
import { actionsIn, type OperatorEvent, type RolloutEvent, type RolloutState, STAYING_EVENTS, targetsOf } from './machine.js';
import type { RolloutRecord } from '../record.js';

/** What a person may do to a rollout now; a trial beside the old version that completed left nothing to take back or try again. */
export function actionsOf({ state, document }: Pick<RolloutRecord, 'state' | 'document'>): OperatorEvent[] {
  return state === 'completed' && isBeside(document) ? [] : actionsIn(state);
}

/** The record after an event. Pure; throws `ROLLOUT_TRANSITION` when the table has no row, or none for where it would lead. */
export function apply(record: RolloutRecord, event: RolloutEvent, at: EpochMillis): RolloutRecord {
  const targets = targetsOf(record.state, event);
  const to = targets.length === 1 ? targets[0] : chosen(record, event);
  if (to === undefined || !targets.includes(to)) {
    throw new SkerryError('ROLLOUT_TRANSITION', `"${event}" in the state "${record.state}" does not say where to go`, {
      details: { state: record.state, event },
    });
  }
  const since = STAYING_EVENTS.has(event) ? record.since : at;
  const next: RolloutRecord = { ...record, state: to, since, decisions: record.decisions + 1 };
  return { ...next, ...effects(record, event, at) };
}

function chosen(record: RolloutRecord, event: RolloutEvent): RolloutState | undefined {
  if (event === 'resume') return record.resumeTo ?? undefined;
  if (event === 'retry') return hasBegun(record) ? 'installing' : 'scheduled';
  if (event === 'reverted') return record.rollback?.endsIn;
  if (event === 'finished') return isBeside(record.document) ? 'ending' : 'completed';
  return undefined;
}

/** False for a paused rollout whose wave still waits for its time or its approval, or was taken back and begins anew. */
function hasBegun({ state, resumeTo }: RolloutRecord): boolean {
  return state !== 'paused' || (resumeTo !== 'scheduled' && resumeTo !== 'awaiting-approval');
}

/** What else an event changes. */
function effects(record: RolloutRecord, event: RolloutEvent, at: EpochMillis): Partial<RolloutRecord> {
  const begun = [...record.begun, { wave: record.wave, at }];
  const started = record.waveFrom === null ? { waveFrom: at, begun } : {};
  switch (event) {
    case 'begin-wave':
      return { waveFrom: at, begun, deadlineFrom: at, resumeTo: null };
    case 'wave-passed':
      return { wave: record.wave + 1, waveFrom: null, deadlineFrom: null };
    case 'approve':
      return { approved: [...record.approved, record.wave] };
    case 'pause':
    case 'gate-failed-pause':
    case 'gate-error':
    case 'deadline':
      return { resumeTo: record.state };
    case 'resume':
      return { deadlineFrom: record.deadlineFrom === null ? null : at, resumeTo: null };
    case 'retry':
      return { ...(hasBegun(record) ? { ...started, deadlineFrom: at } : {}), resumeTo: null, attempt: record.attempt + 1 };
    case 'gate-failed-rollback':
      return record.document.onFailure === 'rollback-wave'
        ? { rollback: { scope: 'wave', endsIn: 'paused' } }
        : { rollback: { scope: 'all', endsIn: 'rolled-back' } };
    case 'rollback':
      return { rollback: { scope: 'all', endsIn: 'rolled-back' } };
    case 'abort':
      // A version beside another has no devices to keep it on: ending the trial takes it away everywhere.
      return { rollback: { scope: isBeside(record.document) ? 'all' : 'in-flight', endsIn: 'aborted' } };
    case 'reverted':
      // A wave that was taken back begins anew when somebody resumes: told again, with evidence of its own.
      return record.rollback?.scope === 'wave'
        ? { rollback: null, resumeTo: 'scheduled', waveFrom: null, begun: [], deadlineFrom: null, attempt: record.attempt + 1 }
        : { rollback: null };
    case 'finished':
      return isBeside(record.document) ? { rollback: { scope: 'all', endsIn: 'completed' } } : {};
    case 'start':
    case 'need-approval':
    case 'all-decided':
    case 'baked':
    case 'supersede':
    case 'exclude':
    case 'release':
      return {};
    default:
      return {};
  }
}
