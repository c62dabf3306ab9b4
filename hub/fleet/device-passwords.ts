import type { DeviceCredentials } from '#hub/broker/credentials.js';
import type { Db } from '#hub/store/database.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import type { Presence } from '#shared/protocol/messages.js';
import { isRefused, readStarts } from './device-starts.js';

/** What brokers need to know of the devices: who may connect, and by which password. */
export class DevicePasswords implements DeviceCredentials {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
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

  async isCopy(device: string, start: Pick<Presence, 'bootId' | 'afterBootId'>): Promise<boolean> {
    const row = await this.#db.selectFrom('device_states').select('starts').where('device', '=', device).executeTakeFirst();
    return isRefused(readStarts(row?.starts ?? null), start);
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
