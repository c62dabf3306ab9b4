import { createHash, randomBytes } from 'node:crypto';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type DeviceId, deviceIdSchema, type Labels } from '#shared/protocol/device.js';
import type { CreatedEnrolmentToken, EnrolmentTokenView } from './enrolment-view.js';
import { readLabels } from './labels.js';
import { requireTimeZone } from './decide/time-zone.js';
import type { EnrolmentTokensTable } from '#hub/store/tables/fleet-tables.js';

interface NewEnrolmentToken {
  readonly name: string;
  /** Given to every device that enrols with it. */
  readonly labels: Labels;
  readonly maxUses: number;
  readonly expiresAt: EpochMillis;
  readonly createdBy: string;
  /** The only device it lets in. */
  readonly device?: DeviceId;
}

/** What a token grants a device. */
interface EnrolmentGrant {
  readonly id: string;
  readonly labels: Labels;
  /** The only device it lets in; undefined for any. */
  readonly device: DeviceId | undefined;
}

/** Tokens that let devices in. A secret has 256 random bits, is said once, and only its SHA-256 is kept. */
export class EnrolmentTokens {
  readonly #db: Db;
  readonly #clock: Clock;

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async create(wanted: NewEnrolmentToken): Promise<CreatedEnrolmentToken> {
    requireTimeZone(wanted.labels);
    const token = `skt_${randomBytes(32).toString('base64url')}`;
    const row: EnrolmentTokensTable = {
      id: randomBytes(6).toString('hex'),
      name: wanted.name,
      secret_sha256: sha256(token),
      labels: JSON.stringify(wanted.labels),
      max_uses: wanted.maxUses,
      uses: 0,
      expires_at: wanted.expiresAt,
      created_at: this.#clock.now(),
      created_by: wanted.createdBy,
      revoked_at: null,
      device: wanted.device ?? null,
    };
    await this.#db.transaction().execute(async (trx) => {
      // One way in for a device at a time: a token that was lost lets nobody in.
      if (wanted.device !== undefined) await this.#revokeUnused(trx, wanted.device);
      await trx.insertInto('enrolment_tokens').values(row).execute();
    });
    return { ...shown(row), token };
  }

  async list(): Promise<EnrolmentTokenView[]> {
    const rows = await this.#db.selectFrom('enrolment_tokens').selectAll().orderBy('created_at').orderBy('id').execute();
    return rows.map(shown);
  }

  async revoke(id: string): Promise<EnrolmentTokenView> {
    const row = await this.#db
      .updateTable('enrolment_tokens')
      .set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.val(this.#clock.now())) }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new SkerryError('ENROL_TOKEN_UNKNOWN', `there is no enrolment token with the id ${id}`);
    return shown(row);
  }

  /** Drops tokens that were revoked or expired before `at`; returns how many. */
  async purge(at: EpochMillis): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('enrolment_tokens')
      .where((eb) => eb.or([eb('revoked_at', '<', at), eb('expires_at', '<', at)]))
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  /**
   * Takes one use of a token, in the caller's transaction: two devices never share the last one. A device whose answer was
   * lost may ask again with the same token and key, which takes no further use. Throws `ENROL_TOKEN_INVALID`, with one
   * message for every reason, since who asks is not known yet.
   */
  async claim(db: Queryable, token: string, publicKey: string): Promise<EnrolmentGrant> {
    const again = await this.#heldBy(db, token, publicKey);
    if (again !== undefined) return again;
    const row = await db
      .updateTable('enrolment_tokens')
      .set((eb) => ({ uses: eb('uses', '+', 1) }))
      .where('secret_sha256', '=', sha256(token))
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', this.#clock.now())
      .whereRef('uses', '<', 'max_uses')
      .returning(['id', 'labels', 'device'])
      .executeTakeFirst();
    if (row === undefined) throw new SkerryError('ENROL_TOKEN_INVALID', 'the enrolment token is unknown, expired, revoked or used up');
    return grantOf(row);
  }

  /** What the token granted to the device that came with it and this key before, while both are good. */
  async #heldBy(db: Queryable, token: string, publicKey: string): Promise<EnrolmentGrant | undefined> {
    const row = await db
      .selectFrom('enrolment_tokens')
      .innerJoin('devices', 'devices.token_id', 'enrolment_tokens.id')
      .select(['enrolment_tokens.id', 'enrolment_tokens.labels', 'enrolment_tokens.device'])
      .where('secret_sha256', '=', sha256(token))
      .where('enrolment_tokens.revoked_at', 'is', null)
      .where('enrolment_tokens.expires_at', '>', this.#clock.now())
      .where('devices.public_key', '=', publicKey)
      .where('devices.revoked_at', 'is', null)
      .executeTakeFirst();
    return row === undefined ? undefined : grantOf(row);
  }

  async #revokeUnused(db: Queryable, device: DeviceId): Promise<void> {
    await db
      .updateTable('enrolment_tokens')
      .set({ revoked_at: this.#clock.now() })
      .where('device', '=', device)
      .where('revoked_at', 'is', null)
      .whereRef('uses', '<', 'max_uses')
      .execute();
  }
}

function grantOf(row: Pick<EnrolmentTokensTable, 'id' | 'labels' | 'device'>): EnrolmentGrant {
  return { id: row.id, labels: readLabels(row.labels), device: deviceOf(row) };
}

function deviceOf({ device }: Pick<EnrolmentTokensTable, 'device'>): DeviceId | undefined {
  return device === null ? undefined : deviceIdSchema.parse(device);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function shown(row: EnrolmentTokensTable): EnrolmentTokenView {
  return {
    id: row.id,
    name: row.name,
    labels: readLabels(row.labels),
    uses: row.uses,
    maxUses: row.max_uses,
    expiresAt: new Date(row.expires_at).toISOString(),
    createdAt: new Date(row.created_at).toISOString(),
    createdBy: row.created_by,
    revokedAt: row.revoked_at === null ? null : new Date(row.revoked_at).toISOString(),
    device: deviceOf(row) ?? null,
  };
}
