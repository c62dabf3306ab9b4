import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Cohorts } from '#hub/rollouts/cohorts.js';
import type { Wish } from '#hub/rollouts/ports.js';
import { SqlRolloutStore } from '#hub/rollouts/sql-store.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { documentOf, OPERATOR, Rig } from './rig.js';

let db: Db;
beforeEach(async () => {
  db = await openDatabase(':memory:', silentLogger);
});
afterEach(() => db.destroy());

function rigOn(devices: number): Rig {
  return new Rig(
    devices,
    undefined,
    (fleet) =>
      new SqlRolloutStore(db, async (_, wishes: readonly Wish[]) => fleet.store(wishes), {
        leave: async (_, leave) => [...fleet.stand(undefined, { leave })],
        withdraw: async (_, rollout, at) => void fleet.stand(rollout, { withdraw: at }),
      }),
  );
}

describe('SqlRolloutStore', () => {
  it('carries a rollout through restarts of the hub to its end, and back', async () => {
    const rig = rigOn(60);
    const gates = [{ gate: 'install' }, { gate: 'errors' }];
    const { id } = await rig.controller.create(
      documentOf({ gates, waves: ['5%', { count: 20, gates: [...gates, { gate: 'crashes' }] }, '100%'] }),
      OPERATOR,
    );
    for (let i = 0; i < 300 && (await rig.store.read(id)).state !== 'completed'; i++) {
      if (i % 5 === 0) await rig.restart();
      await rig.step();
    }
    expect((await rig.store.read(id)).state).toBe('completed');
    for (const device of rig.fleet.devices.values()) expect(device.told).toHaveLength(1);
    rig.fleet.add('late-1');
    await rig.until(id, 'never');
    expect(rig.fleet.get('late-1').serving?.version).toBe(2);
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    const numbers = (await rig.store.decisions(id)).map((decision) => decision.number);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    expect((await rig.store.list()).map((record) => record.id)).toEqual([id]);
    expect(await rig.store.list(['scheduled'])).toEqual([]);
  });

  it('refuses a change made on an older record, and stores nothing of it', async () => {
    const rig = rigOn(10);
    const record = await rig.controller.create(documentOf(), OPERATOR);
    const [row] = await rig.store.devices(record.id);
    if (row === undefined) throw new Error('no device');
    const change = { record, expected: record.decisions - 1, devices: [{ ...row, status: 'failed' as const }], wishes: [] };
    await expect(rig.store.commit(change)).rejects.toMatchObject({ code: 'ROLLOUT_CHANGED' });
    expect((await rig.store.devices(record.id))[0]?.status).toBe('told');
    await expect(rig.store.read('none')).rejects.toMatchObject({ code: 'ROLLOUT_UNKNOWN' });
  });

  it('stores nothing when the wishes cannot be', async () => {
    let broken = false;
    const rig = new Rig(10, undefined, (fleet) => {
      const write = async (_: unknown, wishes: readonly Wish[]): Promise<void> => {
        if (broken && wishes.length > 0) throw new Error('no wishes now');
        fleet.store(wishes);
      };
      return new SqlRolloutStore(db, write);
    });
    broken = true;
    await rig.controller.create(documentOf(), OPERATOR);
    const [record] = await rig.store.list();
    expect((await rig.store.devices(record?.id ?? '')).every((row) => row.status === 'waiting')).toBe(true);
    broken = false;
    expect(await rig.until(record?.id ?? '', 'completed')).toBe('completed');
  });

  it('ends what a newer rollout supersedes together with its creation: what cuts in between leaves the older one as it was', async () => {
    const rig = rigOn(20);
    const first = await rig.controller.create(documentOf(), OPERATOR);
    await rig.until(first.id, 'baking');
    const cut = sql`create trigger cut before insert on rollouts begin select raise(abort, 'the hub died'); end`;
    await cut.execute(db);
    const second = documentOf({ version: 3 });
    await expect(rig.controller.create(second, OPERATOR, { supersede: true })).rejects.toThrow('the hub died');
    await sql`drop trigger cut`.execute(db);
    expect((await rig.store.read(first.id)).state).toBe('baking');
    expect((await rig.store.list()).map((record) => record.id)).toEqual([first.id]);
    // Neither what is stored nor what the running hub has in mind went anywhere: the same again ends it, and knows what to go back to.
    const { id } = await rig.controller.create(second, OPERATOR, { supersede: true });
    expect((await rig.store.read(first.id)).state).toBe('superseded');
    expect((await rig.store.decisions(first.id)).at(-1)).toMatchObject({ event: 'supersede', actor: OPERATOR });
    const before = (await rig.store.devices(first.id)).filter((row) => row.toldAt !== null);
    const taken = new Map((await rig.store.devices(id)).map((row) => [row.device, row.previous?.version]));
    expect(before.length).toBeGreaterThan(0);
    for (const row of before) expect(taken.get(row.device)).toBe(1);
  });
});

describe('Cohorts', () => {
  it('are saved, used by rollouts, and kept while they are', async () => {
    const rig = rigOn(10);
    const cohorts = new Cohorts(db, rig.store, rig.clock);
    expect(await cohorts.save('gold', 'tier in (gold),!legacy', 'ada')).toMatchObject({ selector: 'tier=gold,!legacy' });
    expect((await cohorts.list()).map((cohort) => cohort.name)).toEqual(['gold']);
    rig.fleet.saves.set('gold', '!legacy');
    await rig.controller.create(documentOf({ cohort: { saved: 'gold' } }), OPERATOR);
    await expect(cohorts.save('gold', 'tier=silver', 'ada')).rejects.toMatchObject({ code: 'COHORT_IN_USE' });
    await expect(cohorts.remove('gold')).rejects.toMatchObject({ code: 'COHORT_IN_USE' });
    await cohorts.save('silver', 'tier=silver', 'ada');
    await cohorts.remove('silver');
    await expect(cohorts.saved('silver')).rejects.toMatchObject({ code: 'COHORT_UNKNOWN' });
  });
});
