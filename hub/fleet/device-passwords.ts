import type { DeviceCredentials } from '#hub/broker/credentials.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import type { Presence } from '#shared/protocol/messages.js';
import { type DeviceStarts, isRefused, noteRefused, readStarts } from './decide/device-starts.js';

/** What brokers need to know of the devices: who may connect, and by which password. */
export class DevicePasswords implements DeviceCredentials {
  readonly #db: Db;
  readonly #clock: Clock;

  constructor(db: Db, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async passwordHash(device: string): Promise<Uint8Array | undefined> {
    if (!deviceIdSchema.safeParse(device).success) return undefined;
    const row = await this.#db
      .selectFrom('devices')
      .select('password_sha256')
      .where('id', '=', device)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    return row === undefined ? undefined : Buffer.from(row.password_sha256, 'hex');
  }

  async isCopy(device: string, start: Pick<Presence, 'bootId' | 'afterBootId' | 'host'>): Promise<boolean> {
    const starts = await startsOf(this.#db, device);
    if (!isRefused(starts, start)) return false;
    if (starts !== undefined && noteRefused(starts, start, this.#clock.now()) !== undefined) await this.#note(device, start);
    return true;
  }

  /** The next start of the copy names this one alone, and its birth is never heard. */
  async #note(device: string, start: Pick<Presence, 'bootId' | 'afterBootId' | 'host'>): Promise<void> {
    await this.#db.transaction().execute(async (trx) => {
      const starts = await startsOf(trx, device);
      const noted = starts === undefined ? undefined : noteRefused(starts, start, this.#clock.now());
      if (noted === undefined) return;
      await trx
        .updateTable('device_states')
        .set({ starts: JSON.stringify(noted) })
        .where('device', '=', device)
        .execute();
    });
  }

  /** Entries of an external broker's password file (hub/broker/mosquitto.ts). */
  mosquittoEntries(): Promise<{ username: string; hash: string }[]> {
    return this.#db
      .selectFrom('devices')
      .select(['id as username', 'password_mosquitto as hash'])
      .where('revoked_at', 'is', null)
      .orderBy('id')
      .execute();
  }
}

async function startsOf(db: Queryable, device: string): Promise<DeviceStarts | undefined> {
  const row = await db.selectFrom('device_states').select('starts').where('device', '=', device).executeTakeFirst();
  return readStarts(row?.starts ?? null);
}
