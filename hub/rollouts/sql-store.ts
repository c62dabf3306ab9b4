import type { Insertable } from 'kysely';
import type { Db, Queryable } from '#hub/store/database.js';
import { leaveStanding, type Standing, withdrawStanding } from '#hub/fleet/standing.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { RolloutState } from './decide/machine.js';
import { planSchema } from './decide/plan.js';
import type { Change, RolloutPage, RolloutStore, Wish } from './ports.js';
import {
  type Decision,
  decisionSchema,
  type RolloutDevice,
  rolloutDeviceSchema,
  type RolloutRecord,
  rolloutRecordSchema,
} from './record.js';
import type { RolloutDevicesTable, RolloutsTable } from '#hub/store/tables/rollout-tables.js';

/** Writes wishes in the transaction of the change they belong to. */
type WriteWishes = (trx: Queryable, wishes: readonly Wish[]) => Promise<void>;
/** The same for what a rollout leaves behind. */
interface StandingWrites {
  leave(trx: Queryable, standing: Standing): Promise<DeviceId[]>;
  withdraw(trx: Queryable, rollout: string, at: EpochMillis): Promise<void>;
}

/** Rows per statement: SQLite binds at most 32,766 values (sqlite.org/limits.html). */
const ROWS = 1000;

/** Rollouts in the hub's database. */
export class SqlRolloutStore implements RolloutStore {
  readonly #db: Db;
  readonly #writeWishes: WriteWishes;
  readonly #standing: StandingWrites;

  constructor(db: Db, writeWishes: WriteWishes, standing: StandingWrites = { leave: leaveStanding, withdraw: withdrawStanding }) {
    this.#db = db;
    this.#writeWishes = writeWishes;
    this.#standing = standing;
  }

  async create(record: RolloutRecord, devices: readonly RolloutDevice[], ended: readonly Change[] = []): Promise<void> {
    await this.replace(ended, async (trx) => {
      const { id, document, state, decisions, createdAt } = record;
      await trx
        .insertInto('rollouts')
        .values({
          id,
          model: document.model,
          version: document.version,
          state,
          decisions,
          ...textsOf(record),
          created_at: createdAt,
        })
        .execute();
      await insertDevices(trx, id, devices, 0);
    });
  }

  async commit(change: Change): Promise<readonly DeviceId[]> {
    return this.#db.transaction().execute((trx) => this.#write(trx, change));
  }

  async replace<T>(ended: readonly Change[], write: (trx: Queryable) => Promise<T>): Promise<T> {
    return this.#db.transaction().execute(async (trx) => {
      for (const change of ended) await this.#write(trx, change);
      return write(trx);
    });
  }

  async read(id: string): Promise<RolloutRecord> {
    const row = await this.#db.selectFrom('rollouts').select(['record', 'plan']).where('id', '=', id).executeTakeFirst();
    if (row === undefined) throw unknown(id);
    return readRecord(row);
  }

  async list(states?: readonly RolloutState[]): Promise<RolloutRecord[]> {
    const query = this.#db.selectFrom('rollouts').select(['record', 'plan']).orderBy('number', 'desc');
    const rows = await (states === undefined ? query : query.where('state', 'in', states)).execute();
    return rows.map(readRecord);
  }

  async page({ state, before, limit }: RolloutPage): Promise<string[]> {
    let query = this.#db.selectFrom('rollouts').select('id').orderBy('number', 'desc').limit(limit);
    if (state !== undefined) query = query.where('state', '=', state);
    if (before !== undefined) {
      const last = await this.#db.selectFrom('rollouts').select('number').where('id', '=', before).executeTakeFirst();
      if (last === undefined) throw unknown(before);
      query = query.where('number', '<', last.number);
    }
    return (await query.execute()).map((row) => row.id);
  }

  async devices(id: string): Promise<RolloutDevice[]> {
    const rows = await this.#db.selectFrom('rollout_devices').selectAll().where('rollout', '=', id).orderBy('place').execute();
    return rows.map(deviceOf);
  }

  async decisions(id: string): Promise<Decision[]> {
    await this.read(id);
    const rows = await this.#db.selectFrom('rollout_decisions').select('decision').where('rollout', '=', id).orderBy('number').execute();
    return rows.map((row) =>
      parseJson(decisionSchema, encoder.encode(row.decision), {
        what: 'a stored decision',
        maxBytes: LIMITS.rolloutRecordBytes,
        code: 'INTERNAL',
      }),
    );
  }

  async #write(trx: Queryable, { record, expected, decision, devices, wishes, standing }: Change): Promise<readonly DeviceId[]> {
    if (decision === undefined) await this.#check(trx, record.id, expected);
    else await this.#move(trx, record, expected, decision);
    await updateDevices(trx, record.id, devices);
    await this.#writeWishes(trx, wishes);
    if (standing === undefined) return [];
    if ('leave' in standing) return this.#standing.leave(trx, standing.leave);
    await this.#standing.withdraw(trx, record.id, standing.withdraw);
    return [];
  }

  /** R8: the record moves only together with its decision, and only from where the decision was made. */
  async #move(trx: Queryable, record: RolloutRecord, expected: number, decision: Decision): Promise<void> {
    const { numUpdatedRows } = await trx
      .updateTable('rollouts')
      .set({ state: record.state, decisions: record.decisions, record: textsOf(record).record })
      .where('id', '=', record.id)
      .where('decisions', '=', expected)
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) throw changed(record.id);
    const { number, at, event, actor } = decision;
    await trx
      .insertInto('rollout_decisions')
      .values({ rollout: record.id, number, at, event, actor: actor.name, decision: JSON.stringify(decision) })
      .execute();
  }

  async #check(trx: Queryable, id: string, expected: number): Promise<void> {
    const row = await trx.selectFrom('rollouts').select('decisions').where('id', '=', id).executeTakeFirst();
    if (row?.decisions !== expected) throw changed(id);
  }
}

const encoder = new TextEncoder();
const recordWithoutPlan = rolloutRecordSchema.omit({ plan: true });

async function insertDevices(trx: Queryable, rollout: string, devices: readonly RolloutDevice[], from: number): Promise<void> {
  for (let start = 0; start < devices.length; start += ROWS) {
    const rows = devices.slice(start, start + ROWS).map((device, i) => rowOf(rollout, device, from + start + i));
    await trx.insertInto('rollout_devices').values(rows).execute();
  }
}

/** Changes devices that are known, and adds those that joined behind them. */
async function updateDevices(trx: Queryable, rollout: string, devices: readonly RolloutDevice[]): Promise<void> {
  const joined: RolloutDevice[] = [];
  for (let start = 0; start < devices.length; start += ROWS) {
    const page = devices.slice(start, start + ROWS);
    const ids = page.map(({ device }) => device);
    const rows = await trx
      .selectFrom('rollout_devices')
      .select('device')
      .where('rollout', '=', rollout)
      .where('device', 'in', ids)
      .execute();
    const known = new Set<string>(rows.map((row) => row.device));
    joined.push(...page.filter(({ device }) => !known.has(device)));
    const updates = page.filter(({ device }) => known.has(device)).map((device) => rowOf(rollout, device, 0));
    if (updates.length === 0) continue;
    // Every one is there: the conflict is what changes them, all in one statement; their places stay.
    await trx
      .insertInto('rollout_devices')
      .values(updates)
      .onConflict((conflict) =>
        conflict.columns(['rollout', 'device']).doUpdateSet((eb) => ({
          wave: eb.ref('excluded.wave'),
          status: eb.ref('excluded.status'),
          told_at: eb.ref('excluded.told_at'),
          previous_version: eb.ref('excluded.previous_version'),
          previous_manifest: eb.ref('excluded.previous_manifest'),
          error_code: eb.ref('excluded.error_code'),
          error_message: eb.ref('excluded.error_message'),
          released_why: eb.ref('excluded.released_why'),
          released_at: eb.ref('excluded.released_at'),
        })),
      )
      .execute();
  }
  if (joined.length === 0) return;
  const last = await trx
    .selectFrom('rollout_devices')
    .select((eb) => eb.fn.max('place').as('place'))
    .where('rollout', '=', rollout)
    .executeTakeFirst();
  await insertDevices(trx, rollout, joined, (last?.place ?? -1) + 1);
}

function rowOf(rollout: string, row: RolloutDevice, place: number): Insertable<RolloutDevicesTable> {
  return {
    rollout,
    device: row.device,
    place,
    wave: row.wave,
    status: row.status,
    told_at: row.toldAt,
    previous_version: row.previous?.version ?? null,
    previous_manifest: row.previous?.manifest ?? null,
    error_code: row.error?.code ?? null,
    error_message: row.error?.message ?? null,
    released_why: row.released?.why ?? null,
    released_at: row.released?.at ?? null,
  };
}

function deviceOf(row: RolloutDevicesTable): RolloutDevice {
  return rolloutDeviceSchema.parse({
    device: row.device,
    wave: row.wave,
    status: row.status,
    toldAt: row.told_at,
    previous: row.previous_version === null ? null : { version: row.previous_version, manifest: row.previous_manifest },
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
    released: row.released_why === null ? null : { why: row.released_why, at: row.released_at ?? 0 },
  });
}

/** A record as its row keeps it: the plan apart, since no event changes it and it names every device. */
function textsOf({ plan, ...record }: RolloutRecord): Pick<RolloutsTable, 'record' | 'plan'> {
  return { record: JSON.stringify(record), plan: JSON.stringify(plan) };
}

function readRecord(row: Pick<RolloutsTable, 'record' | 'plan'>): RolloutRecord {
  const rules = { what: 'a stored rollout', maxBytes: LIMITS.rolloutRecordBytes, code: 'INTERNAL' } as const;
  const plan = parseJson(planSchema, encoder.encode(row.plan), rules);
  return { ...parseJson(recordWithoutPlan, encoder.encode(row.record), rules), plan };
}

function unknown(id: string): SkerryError {
  return new SkerryError('ROLLOUT_UNKNOWN', `there is no rollout ${id}`);
}

function changed(id: string): SkerryError {
  return new SkerryError('ROLLOUT_CHANGED', `rollout ${id} changed meanwhile`);
}
