import type { VersionUsers } from '#hub/registry/version-needs.js';
import { isActive, ROLLOUT_STATES } from './decide/machine.js';

const ACTIVE = ROLLOUT_STATES.filter(isActive);

/** Rollouts that have not ended and roll a version out, or have devices that would go back to it. */
export const rolloutUsers: VersionUsers = async (db, model, version) => {
  const rows = await db
    .selectFrom('rollouts')
    .select('id')
    .where('model', '=', model)
    .where('state', 'in', ACTIVE)
    .where((eb) =>
      eb.or([
        eb('version', '=', version),
        eb.exists(
          eb
            .selectFrom('rollout_devices')
            .select('device')
            .whereRef('rollout_devices.rollout', '=', 'rollouts.id')
            .where('previous_version', '=', version)
            .where('status', '!=', 'released'),
        ),
      ]),
    )
    .orderBy('number')
    .execute();
  return { rollouts: rows.map(({ id }) => id) };
};
