import { SkerryError } from '#shared/kernel/errors.js';
import { actionsOf } from './decide/apply.js';
import { isActive, type OperatorEvent, statesAllowing } from './decide/machine.js';
import type { RegistryPort } from './ports.js';
import type { Actor, RolloutDevice, RolloutRecord } from './record.js';

// Whether a person may do something with a rollout now.

/** Throws `ROLLOUT_STATE` in a state that does not allow it. */
export function checkAllowed(record: RolloutRecord, event: OperatorEvent): void {
  if (actionsOf(record).includes(event)) return;
  const states = statesAllowing(event);
  throw new SkerryError('ROLLOUT_STATE', `the rollout is ${record.state}; "${event}" is possible when it is ${states.join(', ')}`, {
    details: { state: record.state, states },
  });
}

/** Throws `ROLLOUT_ROLE` unless the actor has the role that the wave has to be approved by. */
export function checkRole(record: RolloutRecord, actor: Actor): void {
  const role = record.plan.waves[record.wave]?.approval ?? null;
  if (role !== null && actor.role !== role && actor.role !== 'admin') {
    throw new SkerryError('ROLLOUT_ROLE', `this wave has to be approved by somebody with the role ${role}`, { details: { role } });
  }
}

/** What a rollout that has ended is to go back to, or to try again, may have been deleted since: then it throws `VERSION_UNKNOWN`. */
export async function checkVersions(
  { document, state }: RolloutRecord,
  rows: readonly RolloutDevice[],
  event: OperatorEvent,
  registry: RegistryPort,
): Promise<void> {
  if (isActive(state)) return;
  const before = rows.filter((row) => row.status === 'installed' || row.status === 'failed').flatMap((row) => row.previous?.version ?? []);
  const wanted = event === 'retry' ? [document.version] : event === 'rollback' ? new Set(before) : [];
  for (const version of wanted) await registry.version(document.model, version);
}
