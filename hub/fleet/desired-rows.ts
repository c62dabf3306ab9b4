import type { Queryable } from '#hub/store/database.js';
import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { DesiredModelsTable } from '#hub/store/tables/fleet-tables.js';
import type { DesiredState } from '#shared/trust/desired.js';
import type { CandidateAction, DesiredCandidate, DesiredGuard, DesiredRollout } from '#shared/protocol/desired-rollout.js';

/** One wish for one device; it replaces the wish for the same model. */
export interface DesiredDecision {
  readonly device: DeviceId;
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly manifest: Digest;
  /** Another value than before makes a device try a version again that it marked bad. */
  readonly attempt: number;
  /** Who decided: `deployment:12`, `rollout:...`; shown and searched for, never interpreted. */
  readonly source: string;
  readonly decidedAt: EpochMillis;
}

/** What a rollout wishes of one device for one model; hub/rollouts' `Wish` is one. */
export interface RolloutWish {
  readonly device: DeviceId;
  readonly model: ModelName;
  /** Null takes the model away. */
  readonly target: { readonly version: VersionNumber; readonly manifest: Digest } | null;
  /** `serve` makes it the model's version; `alone` ends what a rollout had beside it; the others have it loaded beside the version there is. */
  readonly action: 'serve' | 'alone' | CandidateAction;
  readonly share: number;
  readonly sticky: 'key' | 'device';
  readonly attempt: number;
  readonly source: string;
  readonly decidedAt: EpochMillis;
  readonly wave?: number;
  readonly guard?: DesiredGuard;
}

/** Stores a wish without a rollout; what a rollout had beside it is gone. With `onlyNewer` an older one is skipped. */
export async function writeDecision(trx: Queryable, decision: DesiredDecision, onlyNewer: boolean): Promise<void> {
  await put(trx, decision, null, onlyNewer);
}

/** Rows in one statement. */
const ROWS = 500;

/** Stores what a rollout wishes of many devices, each named once; the plain ones many at a time. */
export async function writeWishes(trx: Queryable, wishes: readonly RolloutWish[]): Promise<void> {
  const rows = wishes.flatMap((wish) => {
    const { target, action, device, model, attempt, source, decidedAt } = wish;
    return target === null || action !== 'serve'
      ? []
      : [decisionRow({ device, model, ...target, attempt, source, decidedAt }, JSON.stringify(rolloutOf(wish)))];
  });
  for (let start = 0; start < rows.length; start += ROWS) {
    await trx
      .insertInto('desired_models')
      .values(rows.slice(start, start + ROWS))
      .onConflict((conflict) =>
        conflict.columns(['device', 'model']).doUpdateSet((eb) => ({
          version: eb.ref('excluded.version'),
          manifest_digest: eb.ref('excluded.manifest_digest'),
          attempt: eb.ref('excluded.attempt'),
          source: eb.ref('excluded.source'),
          decided_at: eb.ref('excluded.decided_at'),
          candidate: eb.ref('excluded.candidate'),
          rollout: eb.ref('excluded.rollout'),
        })),
      )
      .execute();
  }
  for (const wish of wishes) if (wish.target === null || wish.action !== 'serve') await writeWish(trx, wish);
}

/**
 * Stores what a rollout wishes. A version to run beside another where there is none: `stage` makes it the version, since
 * nothing waits to be switched; `shadow` and `split` have nothing to run beside, and the device is left as it is.
 */
async function writeWish(trx: Queryable, wish: RolloutWish): Promise<void> {
  const { device, model, target, attempt, source, decidedAt } = wish;
  if (wish.action === 'alone') {
    await trx
      .updateTable('desired_models')
      .set({ candidate: null, rollout: null })
      .where('device', '=', device)
      .where('model', '=', model)
      .execute();
    return;
  }
  if (target === null) {
    await trx.deleteFrom('desired_models').where('device', '=', device).where('model', '=', model).execute();
    return;
  }
  const rollout = JSON.stringify(rolloutOf(wish));
  const candidate = candidateOf(wish);
  if (candidate !== undefined) {
    const { numUpdatedRows } = await trx
      .updateTable('desired_models')
      .set({ candidate: JSON.stringify(candidate), rollout })
      .where('device', '=', device)
      .where('model', '=', model)
      .where('version', '!=', candidate.version)
      .executeTakeFirst();
    if (numUpdatedRows > 0n || wish.action !== 'stage') return;
  }
  await put(trx, { device, model, ...target, attempt, source, decidedAt }, rollout, false);
}

function candidateOf(wish: RolloutWish): DesiredCandidate | undefined {
  const { target, action, share, sticky, attempt, source } = wish;
  if (target === null || action === 'serve' || action === 'alone') return undefined;
  return { ...target, attempt, action, share: action === 'stage' ? 0 : share, sticky, salt: source };
}

function rolloutOf({ source, wave, guard }: RolloutWish): DesiredRollout {
  return { id: source, wave: wave ?? 0, ...(guard === undefined ? {} : { guard }) };
}

async function put(trx: Queryable, decision: DesiredDecision, rollout: string | null, onlyNewer: boolean): Promise<void> {
  const row = decisionRow(decision, rollout);
  await trx
    .insertInto('desired_models')
    .values(row)
    .onConflict((conflict) => {
      const update = conflict.columns(['device', 'model']).doUpdateSet(row);
      return onlyNewer ? update.where('desired_models.decided_at', '<', decision.decidedAt) : update;
    })
    .execute();
}

function decisionRow(decision: DesiredDecision, rollout: string | null): DesiredModelsTable {
  const { device, model, version, manifest, attempt, source, decidedAt } = decision;
  return { device, model, version, manifest_digest: manifest, attempt, source, decided_at: decidedAt, candidate: null, rollout };
}

/**
 * Writes what a statement said as wishes, for a hub that lost them; what was decided after it was signed stays. A wish that the
 * statement does not have was taken back before it was made.
 */
export async function takeOverWishes(trx: Queryable, { device, counter, models }: DesiredState, issuedAt: EpochMillis): Promise<void> {
  await trx.deleteFrom('desired_models').where('device', '=', device).where('decided_at', '<=', issuedAt).execute();
  for (const { model, version, manifest, attempt, candidate, rollout } of models) {
    const source = rollout?.id ?? `statement:${counter}`;
    const row = {
      ...decisionRow(
        { device, model, version, manifest, attempt, source, decidedAt: issuedAt },
        rollout === undefined ? null : JSON.stringify(rollout),
      ),
      candidate: candidate === undefined ? null : JSON.stringify(candidate),
    };
    await trx
      .insertInto('desired_models')
      .values(row)
      .onConflict((conflict) => conflict.columns(['device', 'model']).doNothing())
      .execute();
  }
}
