import { z } from 'zod';
import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';

/**
 * What the hub notices of a device by itself: each is an event when it begins and ends, a mark in the list of devices, and an alert.
 * `copied`: two devices answer under one name. `restored`: it began again from an older state. `ahead`: it holds something newer than
 * this hub. `clock`: its clock is far from the hub's. docs/OPERATIONS.md has a chapter for each.
 */
export const DEVICE_MARKS = ['copied', 'restored', 'ahead', 'clock'] as const;
type DeviceMark = (typeof DEVICE_MARKS)[number];

export const markSchema = z.object({
  mark: z.enum(DEVICE_MARKS),
  since: z.iso.datetime(),
  message: z.string().meta({ description: 'What it is, and the command that leads out.' }),
});
export type ShownMark = z.infer<typeof markSchema>;

/** An alert as a webhook is told of it: `device.copied`, ... */
export interface DeviceAlert {
  readonly device: DeviceId;
  readonly mark: DeviceMark;
  readonly at: EpochMillis;
  readonly reason: string;
}

interface DeviceMarksDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly bus: LiveBus;
  readonly logger: Logger;
  /** Must not throw and must not wait for the network. */
  readonly alert: (alert: DeviceAlert) => void;
}

/** Marks of devices, kept until what they say is over. */
export class DeviceMarks {
  readonly #deps: DeviceMarksDeps;

  constructor(deps: DeviceMarksDeps) {
    this.#deps = deps;
  }

  /** Marks a device; one that is marked so already gets the newer words, and nobody is told again. */
  async set(device: DeviceId, mark: DeviceMark, message: string): Promise<void> {
    const { db, clock, logger, alert } = this.#deps;
    const at = clock.now();
    const isNew = await db.transaction().execute(async (trx) => {
      const known = await this.#find(trx, device, mark);
      if (known === undefined) await trx.insertInto('device_marks').values({ device, mark, since: at, message }).execute();
      else if (known.message !== message) {
        await trx.updateTable('device_marks').set({ message }).where('device', '=', device).where('mark', '=', mark).execute();
      }
      return known === undefined;
    });
    if (!isNew) return;
    await this.#record(device, `device.${mark}`, message, at);
    logger.warn({ device, mark }, message);
    alert({ device, mark, at, reason: message });
  }

  /** Takes a mark away; nothing happens where there is none. */
  async clear(device: DeviceId, mark: DeviceMark, reason: string): Promise<void> {
    const { db, clock, logger } = this.#deps;
    const { numDeletedRows } = await db
      .deleteFrom('device_marks')
      .where('device', '=', device)
      .where('mark', '=', mark)
      .executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) return;
    await this.#record(device, `device.${mark}.over`, reason, clock.now());
    logger.info({ device, mark }, reason);
  }

  /** Records what happened to a device without a mark: it needs nobody. */
  async note(device: DeviceId, kind: string, message: string): Promise<void> {
    await this.#record(device, kind, message, this.#deps.clock.now());
  }

  async of(device: string): Promise<ShownMark[]> {
    const rows = await this.#deps.db.selectFrom('device_marks').selectAll().where('device', '=', device).orderBy('mark').execute();
    return rows.map(shown);
  }

  /** Marks of all devices that have some. */
  async all(): Promise<ReadonlyMap<DeviceId, readonly ShownMark[]>> {
    const marks = new Map<DeviceId, ShownMark[]>();
    for (const row of await this.#deps.db.selectFrom('device_marks').selectAll().orderBy('mark').execute()) {
      const device = deviceIdSchema.parse(row.device);
      marks.set(device, [...(marks.get(device) ?? []), shown(row)]);
    }
    return marks;
  }

  #find(db: Queryable, device: DeviceId, mark: DeviceMark): Promise<{ readonly message: string } | undefined> {
    return db.selectFrom('device_marks').select('message').where('device', '=', device).where('mark', '=', mark).executeTakeFirst();
  }

  /** An event of the hub's own: it has no place in an outbox, and no start is named. */
  async #record(device: DeviceId, kind: string, message: string, at: EpochMillis): Promise<void> {
    const row = { device, boot: 0, seq: at, at, received_at: at, kind, model: null, version: null, code: null, message: null };
    await this.#deps.db
      .insertInto('events')
      .values({ ...row, detail: JSON.stringify({ message }) })
      .execute();
    this.#deps.bus.publish({ kind: 'device.noticed', at: new Date(at).toISOString(), device, event: kind, message });
  }
}

function shown({ mark, since, message }: { readonly mark: string; readonly since: EpochMillis; readonly message: string }): ShownMark {
  return markSchema.parse({ mark, since: new Date(since).toISOString(), message });
}
