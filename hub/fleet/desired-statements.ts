import type { Queryable } from '#hub/store/database.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { contentHash } from './decide/desired-content.js';
import { takeOverWishes } from './desired-rows.js';
import type { FetchRights } from './fetch-rights.js';

// The rows of `desired_states`: the newest statement to each device, as it was signed.

/** A statement with its signature. */
export interface SignedStatement {
  readonly desired: DesiredState;
  /** The signed bytes. */
  readonly envelope: Uint8Array;
  readonly issuedAt: EpochMillis;
  readonly expires: EpochMillis;
}

/** Devices whose models are counted in one query. */
const COUNTED = 1000;

/** Throws `DESIRED_TOO_LARGE` when one of the devices would get more models than fit into a statement. */
export async function checkCounts(trx: Queryable, wishes: readonly { readonly device: DeviceId }[]): Promise<void> {
  const devices = [...new Set(wishes.map((wish) => wish.device))];
  for (let start = 0; start < devices.length; start += COUNTED) {
    const full = await trx
      .selectFrom('desired_models')
      .select(['device', (eb) => eb.fn.countAll().as('count')])
      .where('device', 'in', devices.slice(start, start + COUNTED))
      .groupBy('device')
      .having((eb) => eb.fn.countAll(), '>', LIMITS.modelsPerDevice)
      .executeTakeFirst();
    if (full !== undefined) {
      const { device, count } = full;
      throw new SkerryError('DESIRED_TOO_LARGE', `${device} would hold ${count} models, at most ${LIMITS.modelsPerDevice} are possible`);
    }
  }
}

/** Stores the newest statements, and what their devices may fetch. To be called before anybody sees them: no counter is used twice. */
export async function storeStatements(
  trx: Queryable,
  rights: FetchRights,
  signed: readonly SignedStatement[],
  { keyId, now }: { readonly keyId: string; readonly now: EpochMillis },
): Promise<void> {
  await rights.record(
    trx,
    signed.map(({ desired }) => desired),
    now,
  );
  for (const { desired, envelope, issuedAt, expires } of signed) {
    const row = {
      device: desired.device,
      counter: desired.counter,
      envelope,
      content_sha256: contentHash(desired.models, desired.hub),
      key_id: keyId,
      issued_at: issuedAt,
      expires_at: expires,
    };
    await trx
      .insertInto('desired_states')
      .values(row)
      .onConflict((conflict) => conflict.column('device').doUpdateSet(row))
      .execute();
  }
}

/** Takes over a statement that the hub lost, with its wishes; false when it is not newer than what the hub has. */
export async function adoptStatement(
  trx: Queryable,
  rights: FetchRights,
  lost: SignedStatement,
  at: { readonly keyId: string; readonly now: EpochMillis },
): Promise<boolean> {
  const { desired, envelope, issuedAt } = lost;
  const before = await trx
    .selectFrom('desired_states')
    .select(['counter', 'envelope'])
    .where('device', '=', desired.device)
    .executeTakeFirst();
  if (before !== undefined && before.counter > desired.counter) return false;
  if (before?.counter === desired.counter && Buffer.compare(before.envelope, envelope) === 0) return false;
  await takeOverWishes(trx, desired, issuedAt);
  await storeStatements(trx, rights, [lost], at);
  return true;
}
