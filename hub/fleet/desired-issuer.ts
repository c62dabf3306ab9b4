import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { BrokerPort } from '#hub/broker/link.js';
import type { HubClock } from '#hub/clock/hub-clock.js';
import type { Db, Queryable } from '#hub/store/database.js';
import type { ModelName } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { days, hours, seconds } from '#shared/kernel/time.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import { type DeviceId, deviceIdSchema, type FleetId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { HubPlace } from '#shared/trust/desired.js';
import { signDesired } from '#shared/trust/decide/desired-verify.js';
import type { SigningKey } from '#shared/trust/keys.js';
import { desiredModels, type IssuePolicy, isDue, nextStatement } from './decide/desired-content.js';
import { type DesiredDecision, type RolloutWish, writeDecision, writeWishes } from './desired-rows.js';
import { adoptStatement, checkCounts, type SignedStatement, storeStatements } from './desired-statements.js';
import type { FetchRights } from './fetch-rights.js';
import { reportedOf } from './device-view.js';
import { inWindow } from './window.js';

interface DesiredIssuerDeps {
  readonly db: Db;
  readonly rights: FetchRights;
  readonly clock: Clock;
  readonly fleet: FleetId;
  /** The director key; its public half is the TUF target `hub/director.json`. */
  readonly key: SigningKey;
  readonly link: BrokerPort;
  /** Nothing is signed while the clock is not credible; it is made up for afterwards. */
  readonly hubClock: Pick<HubClock, 'isCredible' | 'onCredible'>;
  readonly logger: Logger;
  /** Default: valid 30 days, made again 10 days before the end. */
  readonly policy?: IssuePolicy;
  /** Where devices find the hub, beside what they were told at enrolment. */
  readonly place: () => Promise<HubPlace | undefined>;
}

/** Devices signed for together: one transaction, and a few milliseconds of signing before the event loop is free again. */
const BATCH = 64;
const RENEWAL_EVERY = hours(1);
/** After the disk was full. */
const ROOM_RETRY = seconds(5);
const PUBLISH_WINDOW = 64;

/**
 * Says to each device what it should run: wishes are rows, and what follows from a device's rows is signed under a counter
 * that only grows, stored, and then published retained. Nothing is signed twice: equal content keeps its statement until
 * that nears its end, over restarts too. What could not be published goes out on the next connect, from the database.
 */
export class DesiredIssuer implements Service {
  readonly #deps: DesiredIssuerDeps;
  readonly #policy: IssuePolicy;
  /** One at a time, so that statements leave in the order of their counters. */
  readonly #queue = new ExclusiveQueue();
  #cancelRenewal: () => void = () => undefined;
  #closed = false;
  /** A statement could not be stored: the next round comes soon. */
  #foundNoRoom = false;

  constructor(deps: DesiredIssuerDeps) {
    this.#deps = deps;
    this.#policy = deps.policy ?? { validity: days(30), renewBefore: days(10) };
    deps.link.onOnline(() => this.publishAll());
    deps.hubClock.onCredible(() => void this.#renewInBackground());
  }

  async start(): Promise<void> {
    await this.renew();
    this.#scheduleRenewal();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRenewal();
    await this.#queue.idle();
  }

  /**
   * Writes wishes and issues what follows. With `onlyNewer` a wish that is older than what the device has for that model is
   * skipped. Throws `DESIRED_TOO_LARGE` and changes nothing when a device would get too many models.
   */
  async set(decisions: readonly DesiredDecision[], options: { readonly onlyNewer?: boolean } = {}): Promise<void> {
    await this.#deps.db.transaction().execute((trx) => this.write(trx, decisions, options));
    await this.issue(new Set(decisions.map((decision) => decision.device)));
  }

  /** The database half of `set`, in the caller's transaction; `issue` has to follow its commit. */
  async write(trx: Queryable, decisions: readonly DesiredDecision[], options: { readonly onlyNewer?: boolean } = {}): Promise<void> {
    for (const decision of decisions) await writeDecision(trx, decision, options.onlyNewer === true);
    await checkCounts(trx, decisions);
  }

  /** What a rollout wishes, in the caller's transaction; `issue` has to follow its commit. The newest wish for a model counts. */
  async writeWishes(trx: Queryable, wishes: readonly RolloutWish[]): Promise<void> {
    await writeWishes(trx, wishes);
    await checkCounts(trx, wishes);
  }

  /** Counter of the newest statement to a device; 0 before the first. */
  async counterOf(device: DeviceId): Promise<number> {
    const row = await this.#deps.db.selectFrom('desired_states').select('counter').where('device', '=', device).executeTakeFirst();
    return row?.counter ?? 0;
  }

  /**
   * Takes over a statement of this hub's own that it lost: it is the newest again, and what it said is wished for, except where something
   * was decided since it was signed. False when it is not newer than what the hub has. Statements made from now on count on from it.
   */
  async adopt(device: DeviceId, signed: SignedStatement): Promise<boolean> {
    const isNewer = await this.#queue.run(async () => {
      const { db, key, rights, clock } = this.#deps;
      const at = { keyId: key.keyId, now: clock.now() };
      const adopted = await db.transaction().execute((trx) => adoptStatement(trx, rights, signed, at));
      if (adopted) await this.#publish(device, signed.envelope);
      return adopted;
    });
    if (isNewer) await this.issue([device]);
    return isNewer;
  }

  /** Takes models away from a device: it unloads them, and keeps the files as its disk budget allows. */
  async remove(device: DeviceId, models: readonly ModelName[]): Promise<void> {
    if (models.length === 0) return;
    await this.#deps.db.deleteFrom('desired_models').where('device', '=', device).where('model', 'in', models).execute();
    await this.issue([device]);
  }

  /** Signs and publishes for those of the devices whose statement is due; resolves when that is done or, offline, stored. */
  issue(devices: Iterable<DeviceId>): Promise<void> {
    // Each once: two statements made together would have one counter.
    const wanted = [...new Set(devices)];
    return this.#queue.run(async () => {
      try {
        await this.#issueNow(wanted);
      } catch (cause) {
        // The wishes are stored: they are signed once there is room, whoever made them.
        if (asSkerryError(cause).code === 'DISK_FULL') {
          this.#foundNoRoom = true;
          this.#scheduleRenewal();
        }
        throw cause;
      }
    });
  }

  /**
   * Makes every statement that is due: those that expire soon or were signed with a key the hub no longer has, and those for wishes that
   * were stored, changed or taken back just before the hub ended or before something failed. Whether one is due shows only what it says.
   */
  async renew(): Promise<void> {
    const everybody = (await this.#deps.place()) !== undefined;
    const rows = await this.#deps.db
      .selectFrom('devices')
      .select('id')
      .where('revoked_at', 'is', null)
      .where((eb) =>
        eb.or([
          eb(eb.val(everybody ? 1 : 0), '=', 1),
          eb.exists(eb.selectFrom('desired_models').select('model').whereRef('desired_models.device', '=', 'devices.id')),
          eb.exists(eb.selectFrom('desired_states').select('counter').whereRef('desired_states.device', '=', 'devices.id')),
        ]),
      )
      .execute();
    await this.issue(rows.map(({ id }) => deviceIdSchema.parse(id)));
  }

  /** Publishes every newest statement again; in turn with `issue`, so that an older statement never lands on a newer one. */
  publishAll(): Promise<void> {
    return this.#queue.run(() => this.#publishAllNow());
  }

  async #publishAllNow(): Promise<void> {
    const { db, link, fleet } = this.#deps;
    const rows = await db
      .selectFrom('desired_states')
      .innerJoin('devices', 'devices.id', 'desired_states.device')
      .select('device')
      .where('revoked_at', 'is', null)
      .execute();
    await inWindow(rows, PUBLISH_WINDOW, async ({ device }) => {
      // Read when its turn comes, so that the envelopes of a whole fleet are never in memory together.
      const row = await db.selectFrom('desired_states').select('envelope').where('device', '=', device).executeTakeFirst();
      if (row !== undefined) await link.publish(deviceTopic(fleet, device, 'desired'), row.envelope, { retain: true });
    });
  }

  /** Clears what is retained for a device that no longer belongs to the fleet (MQTT 3.1.1, 3.3.1.3: an empty retained message). */
  async forget(device: DeviceId): Promise<void> {
    await this.#publish(device, new Uint8Array());
  }

  async #issueNow(devices: readonly DeviceId[]): Promise<void> {
    for (let start = 0; start < devices.length; start += BATCH) {
      // What is left of a large wave is issued after the next start, or once the clock is right: its wishes are stored.
      if (this.#closed || !this.#deps.hubClock.isCredible) return;
      const due = await this.#due(devices.slice(start, start + BATCH));
      await this.#store(due);
      await inWindow(due, PUBLISH_WINDOW, ({ desired, envelope }) => this.#publish(desired.device, envelope));
      await yieldToLoop();
    }
  }

  /**
   * The next statement of each device that is due one, signed. INVARIANT: nobody else writes statements, and one batch goes at a time, so a
   * counter is still the next when it is stored. Wishes written meanwhile are issued by whoever wrote them.
   */
  async #due(devices: readonly DeviceId[]): Promise<readonly SignedStatement[]> {
    const { db, clock, fleet, key } = this.#deps;
    const wishes = await db.selectFrom('desired_models').selectAll().where('device', 'in', devices).execute();
    const issued = await db
      .selectFrom('desired_states')
      .select(['device', 'counter', 'content_sha256', 'key_id', 'issued_at', 'expires_at'])
      .where('device', 'in', devices)
      .execute();
    const last = new Map(issued.map((row) => [row.device, row]));
    const hub = await this.#deps.place();
    const bare = hub === undefined ? new Set<string>() : await this.#holdNothing(devices.filter((device) => !last.has(device)));
    const now = clock.now();
    return devices.flatMap((device) => {
      const models = desiredModels(wishes.filter((wish) => wish.device === device));
      const before = last.get(device);
      const at = { now, keyId: key.keyId, hub, holdsNothing: bare.has(device) };
      if (!isDue(before, models, at, this.#policy)) return [];
      const desired = nextStatement({ fleet, device, counter: before?.counter ?? 0 }, models, now, this.#policy, hub);
      return [{ desired, envelope: signDesired(desired, key), issuedAt: now, expires: now + this.#policy.validity }];
    });
  }

  /** Of these devices, those that report that they hold no model. */
  async #holdNothing(devices: readonly DeviceId[]): Promise<ReadonlySet<string>> {
    if (devices.length === 0) return new Set();
    const rows = await this.#deps.db.selectFrom('device_states').select(['device', 'reported']).where('device', 'in', devices).execute();
    return new Set(rows.filter((row) => reportedOf(row)?.models.length === 0).map(({ device }) => device));
  }

  async #store(signed: readonly SignedStatement[]): Promise<void> {
    if (signed.length === 0) return;
    const { db, key, rights, clock } = this.#deps;
    await db.transaction().execute((trx) => storeStatements(trx, rights, signed, { keyId: key.keyId, now: clock.now() }));
  }

  async #publish(device: DeviceId, payload: Uint8Array): Promise<void> {
    const { link, fleet, logger } = this.#deps;
    try {
      await link.publish(deviceTopic(fleet, device, 'desired'), payload, { retain: true });
    } catch (cause) {
      if (!hasCode(cause, 'BROKER_OFFLINE')) throw cause;
      logger.debug({ device, cause: cause.message }, 'desired state waits for the broker');
    }
  }

  async #renewInBackground(): Promise<void> {
    if (this.#closed) return;
    await this.renew().catch((cause: unknown) => {
      this.#deps.logger.error({ cause: asSkerryError(cause).message }, 'desired states could not be renewed');
    });
  }

  #scheduleRenewal(): void {
    if (this.#closed) return;
    this.#cancelRenewal();
    this.#cancelRenewal = this.#deps.clock.schedule(this.#foundNoRoom ? ROOM_RETRY : RENEWAL_EVERY, () => {
      this.#foundNoRoom = false;
      void this.#renewInBackground().finally(() => this.#scheduleRenewal());
    });
  }
}
