import { sql } from 'kysely';
import type { Db } from '#hub/store/database.js';
import type { EpochMillis } from '#shared/kernel/time.js';

/** Standing deployments kept of one model and selector: withdrawing the newest falls back to the one before it. */
export const DEPLOYMENTS_KEPT = 20;

/**
 * Drops deployments that decide nothing: withdrawn before `before`, or behind so many newer ones of the same model and selector. A
 * deployment stays while a device follows it, and while it holds the highest attempt of its version, which later retries count from.
 * Resolves with how many went.
 */
export async function dropOldDeployments(db: Db, before: EpochMillis): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from deployments where id in (
      select id from (
        select id, attempt, model, version, withdrawn_at,
          row_number() over (partition by model, selector, withdrawn_at is null order by id desc) as place
        from deployments
      ) as old
      where (withdrawn_at < ${before} or (withdrawn_at is null and place > ${DEPLOYMENTS_KEPT}))
        and not exists (select 1 from desired_models where source = 'deployment:' || old.id)
        and (attempt = 0 or exists (
          select 1 from deployments as later where later.model = old.model and later.version = old.version and later.id > old.id
        ))
    )`.execute(db);
  return Number(numAffectedRows ?? 0);
}
