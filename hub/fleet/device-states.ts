import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type EpochMillis, type Millis, parseTimestamp, seconds } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { Presence, Reported } from '#shared/protocol/messages.js';
import { type Birth, type DeviceStarts, hearBirth, isRefused, readStarts, type StartVerdict } from './decide/device-starts.js';
import { type PresenceMark, presenceSupersedes } from './decide/presence.js';
import { type ReportedMark, reportedSupersedes } from './decide/reported.js';
import type { DeviceStatesTable } from '#hub/store/tables/fleet-tables.js';
import { WhenRoom } from './when-room.js';

export type AdmitStart = (trx: Queryable, device: DeviceId, start: Pick<Birth, 'boot' | 'bootId'>, at: EpochMillis) => Promise<void>;

interface DeviceStatesDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly bus: LiveBus;
  readonly logger: Logger;
  /** A newer reported state was stored. */
  readonly onReported: (device: DeviceId, reported: Reported, heard: HeardReport) => Promise<void>;
  /** A session began, and what that means was stored. */
  readonly onStart: (device: DeviceId, heard: HeardStart) => Promise<void>;
  /** Makes what a new start reports count, in the transaction that stores the start. */
  readonly admitStart: AdmitStart;
  /** How long changes gather before they are written together (default 50 ms). */
  readonly gather?: Millis;
  /** How long what found no room waits (default 1 s). */
  readonly retryAfter?: Millis;
}

interface PresenceHeard {
  readonly message: Presence;
  readonly received: EpochMillis;
  readonly replayed: boolean;
}

interface Pending {
  /** In the order they came: which start follows which tells copies of a device apart. */
  presences: PresenceHeard[];
  reported?: ReportedHeard;
}

/** When a report came, and whether the broker had kept it from before. */
export interface HeardReport {
  readonly received: EpochMillis;
  readonly replayed: boolean;
}

interface ReportedHeard extends HeardReport {
  readonly message: Reported;
}

/** A birth, what it meant, and what is known of the device's starts now. */
export interface HeardStart {
  readonly birth: Birth;
  readonly before: DeviceStarts | undefined;
  readonly starts: DeviceStarts;
  readonly verdict: StartVerdict;
}

/** What was newer than what was known. */
interface Stored {
  readonly presence?: PresenceHeard;
  readonly reported?: ReportedHeard;
  readonly starts: readonly HeardStart[];
}

/** Presence messages of one device held while they gather; a device that makes more of them loses the oldest. */
const MAX_PRESENCES = 64;

/**
 * Presence and reported state of every device. Messages gather for a moment and are written in one transaction, the newest
 * of each device only: a fleet that reconnects at once costs a few commits. Nothing here is acknowledged to the device, and
 * the broker keeps both retained, so what a crash of the hub loses arrives again.
 */
export class DeviceStates implements Service {
  readonly #deps: DeviceStatesDeps;
  readonly #pending = new Map<DeviceId, Pending>();
  readonly #room: WhenRoom;
  readonly #writes = new ExclusiveQueue();
  #cancel: (() => void) | undefined;

  constructor(deps: DeviceStatesDeps) {
    this.#deps = deps;
    this.#room = new WhenRoom(deps.clock, deps.logger);
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {
    this.#cancel?.();
    await this.flush();
    this.#cancel?.();
    await this.#room.close();
  }

  presence(message: Presence, replayed = false): void {
    const { presences } = this.#of(message.device);
    presences.push({ message, received: this.#deps.clock.now(), replayed });
    if (presences.length > MAX_PRESENCES) presences.shift();
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
    return this.#writes.run(() => this.#write());
  }

  #of(device: DeviceId): Pending {
    const known = this.#pending.get(device);
    if (known !== undefined) return known;
    const fresh: Pending = { presences: [] };
    this.#pending.set(device, fresh);
    this.#cancel ??= this.#deps.clock.schedule(this.#deps.gather ?? 50, () => void this.flush());
    return fresh;
  }

  async #write(): Promise<void> {
    const batch = [...this.#pending];
    this.#pending.clear();
    if (batch.length > 0) await this.#storeAll(batch);
  }

  /**
   * Stores a batch in one transaction; when that fails, device by device, so that one that cannot be stored holds up no other.
   * What found no room is kept, and stored once there is some.
   */
  async #storeAll(batch: readonly (readonly [DeviceId, Pending])[]): Promise<void> {
    const { db, logger, admitStart } = this.#deps;
    let accepted: readonly (readonly [DeviceId, Stored])[];
    try {
      accepted = await db.transaction().execute(async (trx) => {
        const stored: [DeviceId, Stored][] = [];
        for (const [device, pending] of batch) stored.push([device, await store(trx, device, pending, admitStart)]);
        return stored;
      });
    } catch (cause) {
      const error = asSkerryError(cause, 'HUB_DATABASE_FAILED');
      logger.error({ code: error.code, cause: error.message, devices: batch.length }, 'device states could not be stored');
      if (error.code === 'DISK_FULL') this.#keep(batch);
      else if (batch.length > 1) for (const each of batch) await this.#storeAll([each]);
      return;
    }
    for (const [device, { presence, reported, starts }] of accepted) {
      if (presence !== undefined) this.#tell({ kind: 'device.presence', device, state: presence.message.state });
      for (const heard of starts) await this.#notice(device, heard);
      if (reported === undefined) continue;
      this.#tell({ kind: 'device.reported', device, reported: reported.message });
      await this.#describe(device, reported);
    }
  }

  /** Puts back what could not be stored, before what came meanwhile. */
  #keep(batch: readonly (readonly [DeviceId, Pending])[]): void {
    for (const [device, kept] of batch) {
      const { presences, reported } = this.#pending.get(device) ?? { presences: [] };
      const newest = newer(kept.reported, reported);
      const all = [...kept.presences, ...presences].slice(-MAX_PRESENCES);
      this.#pending.set(device, { presences: all, ...(newest === undefined ? {} : { reported: newest }) });
    }
    this.#cancel ??= this.#deps.clock.schedule(this.#deps.retryAfter ?? seconds(1), () => void this.flush());
  }

  async #notice(device: DeviceId, heard: HeardStart): Promise<void> {
    try {
      await this.#room.run(`the start of ${device}`, () => this.#deps.onStart(device, heard));
    } catch (cause) {
      this.#deps.logger.error({ device, cause: asSkerryError(cause).message }, 'the start of a device could not be recorded');
    }
  }

  async #describe(device: DeviceId, reported: ReportedHeard): Promise<void> {
    try {
      await this.#room.run(`the report of ${device}`, () => this.#deps.onReported(device, reported.message, reported));
    } catch (cause) {
      this.#deps.logger.error({ device, cause: asSkerryError(cause).message }, 'a reported state could not be stored completely');
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

/** The report that counts of two, the earlier of which could not be stored. */
function newer(kept: ReportedHeard | undefined, next: ReportedHeard | undefined): ReportedHeard | undefined {
  if (kept === undefined || next === undefined) return next ?? kept;
  return reportedSupersedes(mark(kept.message), mark(next.message), next.replayed) ? next : kept;
}

/** Stores what is newer than what is known; returns that part. A device that is not enrolled has no row and stores nothing. */
async function store(db: Queryable, device: DeviceId, pending: Pending, admitStart: AdmitStart): Promise<Stored> {
  const row = await db.selectFrom('device_states').selectAll().where('device', '=', device).executeTakeFirst();
  if (row === undefined) return { starts: [] };
  const { presence, heard, starts } = hear(row, pending.presences);
  for (const { birth, verdict } of heard) {
    if (verdict === 'started' || verdict === 'restored' || verdict === 'copied')
      await admitStart(db, device, birth, pending.presences[0]?.received ?? 0);
  }
  const { reported } = pending;
  const known =
    row.reported === null ? undefined : { boot: row.reported_boot, bootId: row.reported_boot_id ?? undefined, at: row.reported_at };
  const isNewer =
    reported !== undefined && !isRefused(starts, reported.message) && reportedSupersedes(known, mark(reported.message), reported.replayed);
  const accepted = { ...(presence === undefined ? {} : { presence }), ...(isNewer ? { reported } : {}) };
  const changes = {
    ...presenceColumns(accepted.presence),
    ...reportedColumns(accepted.reported, row.revision + 1),
    ...(heard.length === 0 ? {} : { starts: JSON.stringify(starts) }),
  };
  if (Object.keys(changes).length > 0) await db.updateTable('device_states').set(changes).where('device', '=', device).execute();
  return { ...accepted, starts: heard };
}

/** Goes through what was heard, in order: which session lives, and what each birth means. */
function hear(
  row: DeviceStatesTable,
  presences: readonly PresenceHeard[],
): { readonly presence: PresenceHeard | undefined; readonly heard: readonly HeardStart[]; readonly starts: DeviceStarts | undefined } {
  let known = presenceMark(row);
  let starts = readStarts(row.starts);
  let presence: PresenceHeard | undefined;
  const heard: HeardStart[] = [];
  for (const each of presences) {
    const { message, received, replayed } = each;
    const birth = birthOf(message);
    if (birth !== undefined) {
      const before = starts;
      const next = hearBirth(before, birth, received, replayed);
      starts = next.starts;
      heard.push({ birth, before, ...next });
      if (next.verdict === 'refused' || next.verdict === 'late') continue;
    }
    if (!presenceSupersedes(known, message, replayed)) continue;
    known = message;
    presence = each;
  }
  return { presence, heard, starts };
}

function birthOf({ state, bootId, afterBootId, boot, connection, host }: Presence): Birth | undefined {
  if (state !== 'online' || bootId === undefined) return undefined;
  return { bootId, boot, connection, ...(afterBootId === undefined ? {} : { afterBootId }), ...(host === undefined ? {} : { host }) };
}

function presenceColumns(presence: PresenceHeard | undefined): Partial<DeviceStatesTable> {
  if (presence === undefined) return {};
  const { state, session, boot, bootId, connection } = presence.message;
  return {
    presence: state,
    presence_session: session,
    presence_boot: boot,
    presence_boot_id: bootId ?? null,
    presence_connection: connection,
    presence_changed_at: presence.received,
  };
}

function reportedColumns(reported: ReportedHeard | undefined, revision: number): Partial<DeviceStatesTable> {
  if (reported === undefined) return {};
  const { boot, at } = mark(reported.message);
  return {
    reported: JSON.stringify(reported.message),
    reported_boot: boot,
    reported_boot_id: reported.message.bootId ?? null,
    reported_at: at,
    reported_received_at: reported.received,
    revision,
  };
}

function presenceMark(row: DeviceStatesTable): PresenceMark | undefined {
  if (row.presence === null || row.presence_session === null) return undefined;
  const { presence_boot: boot, presence_connection: connection, presence_session: session, presence: state } = row;
  return { boot, bootId: row.presence_boot_id ?? undefined, connection, session, state };
}

/** The schema has made sure that `at` is a date. */
function mark(reported: Reported): ReportedMark {
  return { boot: reported.boot, bootId: reported.bootId, at: parseTimestamp(reported.at) ?? 0 };
}
