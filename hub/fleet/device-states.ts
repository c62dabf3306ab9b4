import type { LiveBus } from '#hub/api/live.js';
import type { Db, Queryable } from '#hub/store/database.js';
import { type Clock, type EpochMillis, type Millis, parseTimestamp } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { Presence, Reported } from '#shared/protocol/messages.js';
import { type PresenceMark, presenceSupersedes } from './presence.js';
import { reportedSupersedes } from './reported.js';
import type { DeviceStatesTable } from './tables.js';

export interface DeviceStatesDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly bus: LiveBus;
  readonly logger: Logger;
  /** A newer reported state was stored. */
  readonly onReported: (device: DeviceId, reported: Reported) => Promise<void>;
  /** How long changes gather before they are written together (default 50 ms). */
  readonly gather?: Millis;
}

interface Pending {
  presence?: { readonly message: Presence; readonly received: EpochMillis };
  reported?: { readonly message: Reported; readonly received: EpochMillis; readonly replayed: boolean };
}

/**
 * Presence and reported state of every device. Messages gather for a moment and are written in one transaction, the newest
 * of each device only: a fleet that reconnects at once costs a few commits. Nothing here is acknowledged to the device, and
 * the broker keeps both retained, so what a crash of the hub loses arrives again.
 */
export class DeviceStates implements Service {
  readonly #deps: DeviceStatesDeps;
  readonly #pending = new Map<DeviceId, Pending>();
  #flushing: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(deps: DeviceStatesDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {
    this.#cancel?.();
    await this.flush();
  }

  presence(message: Presence): void {
    const pending = this.#of(message.device);
    if (presenceSupersedes(pending.presence?.message, message)) pending.presence = { message, received: this.#deps.clock.now() };
  }

  /** `replayed`: the broker sent it from its memory, on subscription. */
  reported(message: Reported, replayed: boolean): void {
    const pending = this.#of(message.device);
    const known = pending.reported === undefined ? undefined : mark(pending.reported.message);
    if (reportedSupersedes(known, mark(message), replayed)) pending.reported = { message, received: this.#deps.clock.now(), replayed };
  }

  /** A broker that starts with nothing has nobody connected: whoever lives will say so again. */
  async allOffline(): Promise<void> {
    await this.#deps.db
      .updateTable('device_states')
      .set({ presence: 'offline', presence_changed_at: this.#deps.clock.now() })
      .where('presence', '=', 'online')
      .execute();
  }

  /** Writes what has gathered; resolves once it is stored. */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#flushing = this.#flushing.then(() => this.#write());
    return this.#flushing;
  }

  #of(device: DeviceId): Pending {
    const known = this.#pending.get(device);
    if (known !== undefined) return known;
    const fresh: Pending = {};
    this.#pending.set(device, fresh);
    this.#cancel ??= this.#deps.clock.schedule(this.#deps.gather ?? 50, () => void this.flush());
    return fresh;
  }

  async #write(): Promise<void> {
    const batch = [...this.#pending];
    this.#pending.clear();
    if (batch.length === 0) return;
    try {
      const accepted = await this.#deps.db.transaction().execute(async (trx) => {
        const stored: [DeviceId, Pending][] = [];
        for (const [device, pending] of batch) stored.push([device, await store(trx, device, pending)]);
        return stored;
      });
      for (const [device, { presence, reported }] of accepted) {
        if (presence !== undefined) this.#tell({ kind: 'device.presence', device, state: presence.message.state });
        if (reported === undefined) continue;
        this.#tell({ kind: 'device.reported', device, reported: reported.message });
        await this.#describe(device, reported.message);
      }
    } catch (cause) {
      this.#deps.logger.error({ cause: asSkerryError(cause).message, devices: batch.length }, 'device states could not be stored');
    }
  }

  async #describe(device: DeviceId, reported: Reported): Promise<void> {
    try {
      await this.#deps.onReported(device, reported);
    } catch (cause) {
      this.#deps.logger.error({ device, cause: asSkerryError(cause).message }, 'a reported state could not be taken over in full');
    }
  }

  #tell(
    event:
      | { kind: 'device.presence'; device: DeviceId; state: Presence['state'] }
      | { kind: 'device.reported'; device: DeviceId; reported: Reported },
  ): void {
    this.#deps.bus.publish({ ...event, at: new Date(this.#deps.clock.now()).toISOString() });
  }
}

/** Stores what is newer than what is known; returns that part. A device that is not enrolled has no row and stores nothing. */
async function store(db: Queryable, device: DeviceId, pending: Pending): Promise<Pending> {
  const row = await db.selectFrom('device_states').selectAll().where('device', '=', device).executeTakeFirst();
  if (row === undefined) return {};
  const accepted: Pending = {};
  const { presence, reported } = pending;
  if (presence !== undefined && presenceSupersedes(presenceMark(row), presence.message)) accepted.presence = presence;
  const known = row.reported === null ? undefined : { boot: row.reported_boot, at: row.reported_at };
  if (reported !== undefined && reportedSupersedes(known, mark(reported.message), reported.replayed)) accepted.reported = reported;
  const changes = { ...presenceColumns(accepted), ...reportedColumns(accepted, row.revision + 1) };
  if (Object.keys(changes).length > 0) await db.updateTable('device_states').set(changes).where('device', '=', device).execute();
  return accepted;
}

function presenceColumns({ presence }: Pending): Partial<DeviceStatesTable> {
  if (presence === undefined) return {};
  const { state, session, boot, connection } = presence.message;
  return {
    presence: state,
    presence_session: session,
    presence_boot: boot,
    presence_connection: connection,
    presence_changed_at: presence.received,
  };
}

function reportedColumns({ reported }: Pending, revision: number): Partial<DeviceStatesTable> {
  if (reported === undefined) return {};
  const { boot, at } = mark(reported.message);
  return {
    reported: JSON.stringify(reported.message),
    reported_boot: boot,
    reported_at: at,
    reported_received_at: reported.received,
    revision,
  };
}

function presenceMark(row: DeviceStatesTable): PresenceMark | undefined {
  if (row.presence === null || row.presence_session === null) return undefined;
  return { boot: row.presence_boot, connection: row.presence_connection, session: row.presence_session, state: row.presence };
}

/** The schema has made sure that `at` is a date. */
function mark(reported: Reported): { boot: number; at: EpochMillis } {
  return { boot: reported.boot, at: parseTimestamp(reported.at) ?? 0 };
}
