import type { Db } from '#hub/store/database.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { isActive, ROLLOUT_STATES } from './decide/machine.js';

const ENDED = ROLLOUT_STATES.filter((state) => !isActive(state));

/**
 * Drops rollouts that ended, with their devices, decisions and baselines: those whose last decision was made before `before`, unless
 * a deployment they left still stands or a device still follows them. Resolves with how many went.
 */
export async function dropEndedRollouts(db: Db, before: EpochMillis): Promise<number> {
  const old = await db
    .selectFrom('rollouts')
    .select('id')
    .where('state', 'in', ENDED)
    .where('created_at', '<', before)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('rollout_decisions')
            .select('number')
            .whereRef('rollout_decisions.rollout', '=', 'rollouts.id')
            .where('at', '>=', before),
        ),
      ),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('deployments')
            .select('deployments.id')
            .whereRef('deployments.rollout', '=', 'rollouts.id')
            .where('withdrawn_at', 'is', null),
        ),
      ),
    )
    .execute();
  let dropped = 0;
  for (const { id } of old) if (await dropRollout(db, id)) dropped += 1;
  return dropped;
}

/** One transaction each, so that a large history does not hold up the hub; false where somebody took the rollout up again meanwhile. */
function dropRollout(db: Db, id: string): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const row = await trx.selectFrom('rollouts').select('id').where('id', '=', id).where('state', 'in', ENDED).executeTakeFirst();
    const follower = await trx.selectFrom('desired_models').select('device').where('source', '=', `rollout:${id}`).executeTakeFirst();
    if (row === undefined || follower !== undefined) return false;
    for (const table of ['rollout_devices', 'rollout_decisions', 'rollout_baselines'] as const) {
      await trx.deleteFrom(table).where('rollout', '=', id).execute();
    }
    await trx.deleteFrom('rollouts').where('id', '=', id).execute();
    return true;
  });
}
