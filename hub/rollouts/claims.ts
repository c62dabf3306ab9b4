import type { Claim } from '#hub/fleet/rollout-claims.js';
import type { Queryable } from '#hub/store/database.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { isUnderWay, ROLLOUT_STATES } from './decide/machine.js';

const UNDER_WAY = ROLLOUT_STATES.filter(isUnderWay);
/** Beyond so many devices all rows of a rollout are read at once (SQLite binds at most 32,766 values). */
const NAMED = 1000;

/**
 * Rollouts of a model under way whose cohort has some of these devices, newest first. All of the cohort counts, devices that no wave
 * reaches too: they are what the others are compared with.
 */
export async function rolloutsUnderWay(db: Queryable, model: string, devices: readonly DeviceId[]): Promise<Claim[]> {
  const rollouts = await db
    .selectFrom('rollouts')
    .select(['id', 'state'])
    .where('model', '=', model)
    .where('state', 'in', UNDER_WAY)
    .orderBy('number', 'desc')
    .execute();
  const wanted = new Set<string>(devices);
  const claims: Claim[] = [];
  for (const { id, state } of rollouts) {
    const rows = db.selectFrom('rollout_devices').select('device').where('rollout', '=', id).where('released_why', 'is', null);
    const found = await (devices.length <= NAMED && devices.length > 0 ? rows.where('device', 'in', devices) : rows).execute();
    const shared = found.filter((row) => wanted.has(row.device)).map((row) => deviceIdSchema.parse(row.device));
    if (shared.length > 0) claims.push({ rollout: id, state, devices: shared });
  }
  return claims;
}
