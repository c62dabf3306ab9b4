import type { RolloutEvent } from './machine.js';
import type { AlertKind, RolloutAlert } from '../ports.js';
import type { Decision, RolloutRecord } from '../record.js';

/** How near to failing a gate is worth a word. */
export const NEAR_LIMIT = 0.7;

const KIND_OF: Readonly<Partial<Record<RolloutEvent, AlertKind>>> = {
  pause: 'paused',
  'gate-failed-pause': 'paused',
  'gate-error': 'paused',
  deadline: 'paused',
  'gate-failed-rollback': 'rolling-back',
  rollback: 'rolling-back',
  'need-approval': 'approval-needed',
};

/** The alert a decision is worth, if any. */
export function alertOf(record: RolloutRecord, decision: Decision): RolloutAlert | undefined {
  const { to } = decision;
  const ended = to === 'completed' || to === 'rolled-back' || to === 'aborted' ? to : undefined;
  const kind = ended ?? KIND_OF[decision.event];
  return kind === undefined ? undefined : alert(record, kind, decision.at, decision.reason, decision.actor.name);
}

/** The alert for gates that came near to failing. */
export function nearLimitAlert(record: RolloutRecord, at: number, reasons: readonly string[]): RolloutAlert {
  return alert(record, 'near-limit', at, reasons.join('; '), 'hub');
}

function alert(record: RolloutRecord, kind: AlertKind, at: number, reason: string, actor: string): RolloutAlert {
  const { id, document, wave, state } = record;
  return { kind, at, rollout: id, model: document.model, version: document.version, wave, state, reason, actor };
}
