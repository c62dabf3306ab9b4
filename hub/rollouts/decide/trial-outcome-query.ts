import type { EpochMillis } from '#shared/kernel/time.js';
import { isBeside } from '../document.js';
import type { RolloutEvent } from './machine.js';
import type { TrialOutcomeQuery } from '../ports.js';
import type { RolloutDevice, RolloutRecord } from '../record.js';

/** Events that end a trial beside the old version: what it came to is kept with them. */
export const ENDS_TRIAL: ReadonlySet<RolloutEvent> = new Set(['finished', 'gate-failed-rollback', 'gate-failed-pause']);

/**
 * Where to look for what a rollout came to, since its first wave began: devices that were told of the version, and, as the old side, the
 * same devices where it runs beside the old one, otherwise those not told.
 */
export function outcomeQuery(record: RolloutRecord, rows: readonly RolloutDevice[], to: EpochMillis): TrialOutcomeQuery {
  const { document, plan, begun, waveFrom, createdAt } = record;
  const told = new Set<string>(rows.filter((row) => row.toldAt !== null).map((row) => row.device));
  const others = new Set<string>(rows.filter((row) => row.toldAt === null).map((row) => row.device));
  const { model, version } = document;
  const countRefused = plan.narrowed !== undefined;
  return {
    model,
    version,
    countRefused,
    from: begun[0]?.at ?? waveFrom ?? createdAt,
    to,
    fresh: told,
    old: isBeside(document) ? told : others,
  };
}
