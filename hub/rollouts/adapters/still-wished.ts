import { beside } from '#hub/fleet/decide/desired-content.js';
import type { Queryable } from '#hub/store/database.js';
import type { ObservedWish } from './observation-cache.js';

/** Devices that are still to do what a rollout wished of them: a removal takes wishes back, giving the name to another machine does not. */
export async function stillWished(db: Queryable, wishes: readonly ObservedWish[]): Promise<ReadonlySet<string>> {
  if (wishes.length === 0) return new Set();
  const rows = await db
    .selectFrom('desired_models')
    .select(['device', 'model', 'manifest_digest', 'candidate'])
    .where(
      'device',
      'in',
      wishes.map((wish) => wish.device),
    )
    .execute();
  const known = new Map(rows.map((row) => [`${row.device} ${row.model}`, row]));
  const kept = wishes.filter(({ device, model, target }) => {
    const row = known.get(`${device} ${model}`);
    if (target === null) return row === undefined;
    if (row === undefined) return false;
    return (
      row.manifest_digest === target.manifest || beside({ candidate: row.candidate, rollout: null }).candidate?.manifest === target.manifest
    );
  });
  return new Set(kept.map((wish) => wish.device));
}
