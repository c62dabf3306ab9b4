import { mkdtemp, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiTokens } from '#hub/api/tokens.js';
import { reachOf } from '#hub/fleet/decide/deployment-reach.js';
import { DeploymentReaches } from '#hub/fleet/deployment-reaches.js';
import { DEPLOYMENTS_KEPT, dropOldDeployments } from '#hub/fleet/deployment-retention.js';
import { EnrolmentTokens } from '#hub/fleet/enrolment-tokens.js';
import { dropEndedRollouts } from '#hub/rollouts/retention.js';
import { SqlRolloutStore } from '#hub/rollouts/sql-store.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { reclaimDisk } from '#hub/store/reclaim.js';
import { days } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { VirtualClock } from '../../kit/virtual-clock.js';
import { documentOf, OPERATOR, Rig } from './rollouts/rig.js';

// What a hub keeps of the past has an end (docs/OPERATIONS.md, "What is bounded").

let db: Db;
const clock = new VirtualClock();
beforeEach(async () => {
  db = await openDatabase(':memory:', silentLogger);
});
afterEach(() => db.destroy());

async function deployment(
  change: { version?: number; selector?: string; attempt?: number; withdrawn_at?: number; rollout?: string } = {},
): Promise<number> {
  const row = {
    model: 'vad',
    version: 1,
    manifest_digest: 'a'.repeat(64),
    selector: 'site=harbour',
    attempt: 0,
    created_at: 0,
    created_by: 'ada',
    ...change,
  };
  return (await db.insertInto('deployments').values(row).returning('id').executeTakeFirstOrThrow()).id;
}

async function follow(device: string, source: string): Promise<void> {
  await db
    .insertInto('devices')
    .values({
      id: device,
      public_key: device,
      device_labels: '{}',
      hub_labels: '{}',
      labels: '{}',
      capabilities: '{}',
      agent_version: '1',
      password_sha256: '',
      password_mosquitto: '',
      token_id: '',
      enrolled_at: 0,
    })
    .execute();
  const wish = { model: 'vad', version: 1, manifest_digest: 'a', attempt: 0, decided_at: 0 };
  await db
    .insertInto('desired_models')
    .values({ device, source, ...wish })
    .execute();
}

const ids = async (): Promise<number[]> => (await db.selectFrom('deployments').select('id').orderBy('id').execute()).map(({ id }) => id);

describe('deployments', () => {
  test('of one model and selector only the newest stay, and those that devices follow', async () => {
    const followed = await deployment();
    await follow('cam-1', `deployment:${followed}`);
    const other = await deployment({ selector: 'site=yard' });
    for (let n = 0; n < DEPLOYMENTS_KEPT + 5; n += 1) await deployment();
    expect(await dropOldDeployments(db, 0)).toBe(5);
    const left = await ids();
    expect(left).toEqual(expect.arrayContaining([followed, other]));
    expect(left).toHaveLength(DEPLOYMENTS_KEPT + 2);
  });

  test('withdrawn ones go after their time, but never the highest attempt of a version', async () => {
    const old = await deployment({ withdrawn_at: 10 });
    const retried = await deployment({ withdrawn_at: 10, attempt: 1, version: 2 });
    const recent = await deployment({ withdrawn_at: 200 });
    expect(await dropOldDeployments(db, 100)).toBe(1);
    expect(await ids()).toEqual([retried, recent]);
    expect(await ids()).not.toContain(old);
    await deployment({ attempt: 1, version: 2 });
    expect(await dropOldDeployments(db, 100)).toBe(1);
  });

  test('an enrolment parses no selector twice', async () => {
    let parsed = 0;
    const reaches = new DeploymentReaches((row) => {
      parsed += 1;
      return reachOf(row);
    });
    const row = { selector: 'site=harbour', excluded: null };
    for (let enrolment = 0; enrolment < 3; enrolment += 1) {
      for (let id = 1; id <= 50; id += 1) await reaches.of(id, () => Promise.resolve(row));
    }
    expect(parsed).toBe(50);
  });
});

describe('rollouts', () => {
  const store = (): { rig: Rig; sql: SqlRolloutStore } => {
    const made: { sql?: SqlRolloutStore } = {};
    const rig = new Rig(40, undefined, (fleet) => {
      const nothing = { leave: async () => [], withdraw: async () => undefined };
      made.sql = new SqlRolloutStore(db, async (_, wishes) => fleet.store(wishes), nothing);
      return made.sql;
    });
    if (made.sql === undefined) throw new Error('no store was made');
    return { rig, sql: made.sql };
  };

  test('a decision writes no device ids again: the plan is stored once', async () => {
    const { rig, sql } = store();
    const { id } = await rig.controller.create(documentOf(), OPERATOR);
    await rig.step();
    const row = await db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const [device] = await sql.devices(id);
    expect(row.decisions).toBeGreaterThan(0);
    expect(row.plan).toContain(device?.device);
    expect(row.record).not.toContain(device?.device);
    expect((await sql.read(id)).plan.waves.flatMap((wave) => wave.devices)).toHaveLength(40);
  });

  test('one that ended goes with its devices and decisions after its time, unless it still stands or is followed', async () => {
    const { rig } = store();
    const { id } = await rig.controller.create(documentOf(), OPERATOR);
    const later = rig.clock.now() + days(2);
    expect(await dropEndedRollouts(db, later)).toBe(0);
    expect(await rig.until(id, 'completed')).toBe('completed');
    expect(await dropEndedRollouts(db, rig.clock.now() - days(1))).toBe(0);
    const standing = await deployment({ rollout: id });
    expect(await dropEndedRollouts(db, later)).toBe(0);
    await db.updateTable('deployments').set({ withdrawn_at: 1 }).where('id', '=', standing).execute();
    await follow('cam-9', `rollout:${id}`);
    expect(await dropEndedRollouts(db, later)).toBe(0);
    await db.deleteFrom('desired_models').execute();
    expect(await dropEndedRollouts(db, later)).toBe(1);
    for (const table of ['rollouts', 'rollout_devices', 'rollout_decisions'] as const) {
      expect(
        await db
          .selectFrom(table)
          .select((eb) => eb.fn.countAll().as('count'))
          .executeTakeFirst(),
      ).toEqual({ count: 0 });
    }
  });
});

test('tokens that were revoked or expired go after their time', async () => {
  const [api, enrolment] = [new ApiTokens(db, clock), new EnrolmentTokens(db, clock)];
  const now = clock.now();
  const good = await api.create({ name: 'good', role: 'admin', createdBy: 'hub' });
  const expired = await api.create({ name: 'expired', role: 'viewer', createdBy: 'hub', expiresAt: now + 10 });
  const { id } = await api.create({ name: 'revoked', role: 'viewer', createdBy: 'hub' });
  await api.revoke(id);
  const one = { labels: {}, maxUses: 1, createdBy: 'ada' };
  await enrolment.create({ ...one, name: 'old', expiresAt: now + 10 });
  await enrolment.create({ ...one, name: 'new', expiresAt: now + days(9) });
  expect([await api.purge(now), await enrolment.purge(now)]).toEqual([0, 0]);
  expect([await api.purge(now + 5), await enrolment.purge(now + 5)]).toEqual([1, 0]);
  expect([await api.purge(now + days(1)), await enrolment.purge(now + days(1))]).toEqual([1, 1]);
  expect((await api.list()).map((token) => token.name)).toEqual(['good']);
  expect((await enrolment.list()).map((token) => token.name)).toEqual(['new']);
  expect(await api.verify(good.token)).toBeDefined();
  expect(await api.verify(expired.token)).toBeUndefined();
});

test('the database file gives back what deleted rows took', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-reclaim-'));
  const file = path.join(folder, 'hub.db');
  await writeFile(file, '');
  const big = await openDatabase(file, silentLogger);
  try {
    for (let n = 0; n < 20; n += 1) {
      await big
        .insertInto('trust_files')
        .values({ name: `${n}`, content: Buffer.alloc(1_000_000, n), stored_at: 0 })
        .execute();
    }
    await big.deleteFrom('trust_files').execute();
    let slices = 0;
    expect(
      await reclaimDisk(big, async () => {
        slices += 1;
      }),
    ).toBeGreaterThan(4_000);
    expect(slices).toBeGreaterThan(1);
    expect((await stat(file)).size).toBeLessThan(2_000_000);
  } finally {
    await big.destroy();
  }
});
