import { describe, expect, it } from 'vitest';
import type { RolloutDevice } from '#hub/rollouts/record.js';
import { hours, minutes } from '#shared/kernel/time.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { documentOf, OPERATOR, Rig } from './rig.js';

const id = (name: string) => deviceIdSchema.parse(name);
const PLAIN = { waves: [{ count: 4 }, '100%'], reserve: 0, gates: [{ gate: 'install' }], bake: '1m' };

async function rowOf(rig: Rig, rollout: string, device: string): Promise<RolloutDevice | undefined> {
  return (await rig.store.devices(rollout)).find((row) => row.device === device);
}

async function inWave(rig: Rig, rollout: string, wave: number): Promise<string[]> {
  return (await rig.store.devices(rollout)).filter((row) => row.wave === wave).map((row) => row.device);
}

describe('a device removed in mid-wave', () => {
  it('is released: neither failed nor silent, and the wave passes without it', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, silent: { after: '10m' } }), OPERATOR);
    const [gone = ''] = await inWave(rig, rollout, 0);
    rig.fleet.get(gone).silent = true;
    await rig.step();
    rig.fleet.removed.add(id(gone));
    expect(await rig.until(rollout, 'completed')).toBe('completed');
    expect(await rowOf(rig, rollout, gone)).toMatchObject({ status: 'released', released: { why: 'removed' }, error: null });
    const decisions = await rig.store.decisions(rollout);
    const release = decisions.find((decision) => decision.event === 'release');
    expect(release).toMatchObject({ from: 'installing', to: 'installing', devices: [gone], actor: { name: 'hub' } });
    expect(release?.reason).toBe(`1 device removed from the fleet: ${gone}`);
    const passed = decisions.find((decision) => decision.event === 'all-decided');
    expect(passed?.figures?.progress).toMatchObject({ total: 3, installed: 3, failed: 0, silent: 0, released: 1 });
  });

  it('keeps the bake time of the others', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '30m' }), OPERATOR);
    await rig.until(rollout, 'baking');
    const { since } = await rig.store.read(rollout);
    const [gone = ''] = await inWave(rig, rollout, 0);
    rig.fleet.removed.add(id(gone));
    for (let i = 0; i < 5; i++) await rig.step();
    expect(await rowOf(rig, rollout, gone)).toMatchObject({ status: 'released' });
    expect(await rig.store.read(rollout)).toMatchObject({ state: 'baking', since });
  });

  it('does not hold up a way back, and is not told to go back', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf(PLAIN), OPERATOR);
    await rig.until(rollout, 'baking');
    const [gone = ''] = await inWave(rig, rollout, 0);
    rig.fleet.removed.add(id(gone));
    await rig.controller.act(rollout, 'rollback', OPERATOR);
    expect(await rig.until(rollout, 'rolled-back')).toBe('rolled-back');
    expect(await rowOf(rig, rollout, gone)).toMatchObject({ status: 'released', released: { why: 'removed' } });
    expect(rig.fleet.get(gone).told.map((wish) => wish.target?.version)).toEqual([2]);
  });

  it('that the retry was to tell again, or a later wave, is not told', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '1h' }), OPERATOR);
    await rig.until(rollout, 'baking');
    const [later = ''] = await inWave(rig, rollout, 1);
    rig.fleet.removed.add(id(later));
    expect(await rig.until(rollout, 'completed')).toBe('completed');
    expect(rig.fleet.get(later).told).toEqual([]);
    expect(await rowOf(rig, rollout, later)).toMatchObject({ released: { why: 'removed' } });
  });

  it('joins like a new one when it is back', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '1h' }), OPERATOR);
    const [gone = ''] = await inWave(rig, rollout, 0);
    await rig.step();
    rig.fleet.removed.add(id(gone));
    await rig.step();
    expect(await rowOf(rig, rollout, gone)).toMatchObject({ status: 'released' });
    rig.fleet.removed.delete(id(gone));
    for (let i = 0; i < 3; i++) await rig.step();
    expect(await rowOf(rig, rollout, gone)).toMatchObject({ status: 'installed', released: null });
  });

  it('is taken back with the others once it was told again, or before that', async () => {
    for (const steps of [1, 3]) {
      const rig = new Rig(8);
      const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '1h' }), OPERATOR);
      const [gone = ''] = await inWave(rig, rollout, 0);
      await rig.step();
      rig.fleet.removed.add(id(gone));
      await rig.step();
      rig.fleet.removed.delete(id(gone));
      for (let i = 0; i < steps; i++) await rig.step();
      expect(await rowOf(rig, rollout, gone)).toMatchObject({ released: null, previous: { version: 1 } });
      await rig.controller.act(rollout, 'rollback', OPERATOR);
      await rig.until(rollout, 'rolled-back');
      expect(rig.fleet.get(gone).serving?.version).toBe(1);
    }
  });

  it('leaves a first wave that has nobody else waiting for a person, for nothing was shown', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, waves: [{ count: 1 }, '100%'] }), OPERATOR);
    const [gone = ''] = await inWave(rig, rollout, 0);
    rig.fleet.removed.add(id(gone));
    expect(await rig.until(rollout, 'paused', 'completed')).toBe('paused');
    expect((await rig.store.decisions(rollout)).at(-1)).toMatchObject({ event: 'deadline' });
  });
});

it('what a rollout itself wished, which a restored hub learnt from a device, is nothing to go back to', async () => {
  const rig = new Rig(8);
  const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '10m' }), OPERATOR);
  await rig.until(rollout, 'baking');
  const [told = ''] = await inWave(rig, rollout, 0);
  const [later = ''] = await inWave(rig, rollout, 1);
  const wish = rig.fleet.wishFor(id(told));
  if (wish === undefined) throw new Error('there is no wish');
  rig.fleet.store([{ ...wish, device: id(later) }]);
  await rig.until(rollout, 'completed');
  expect(await rowOf(rig, rollout, told)).toMatchObject({ previous: { version: 1 } });
  expect(await rowOf(rig, rollout, later)).toMatchObject({ status: 'installed', previous: null });
});

describe('a device that leaves the cohort', () => {
  const cohort = { cohort: 'group=in' };

  it('before its wave is not told; after it was told it is taken back with the others', async () => {
    const rig = new Rig(8, () => ({ group: 'in' }));
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, ...cohort, bake: '1h' }), OPERATOR);
    await rig.until(rollout, 'baking');
    const [told = ''] = await inWave(rig, rollout, 0);
    const [waiting = ''] = await inWave(rig, rollout, 1);
    for (const device of [told, waiting]) rig.fleet.get(device).labels = { group: 'frozen' };
    await rig.until(rollout, 'installing');
    await rig.step();
    expect(rig.fleet.get(waiting).told).toEqual([]);
    expect(await rowOf(rig, rollout, waiting)).toMatchObject({ status: 'released', released: { why: 'left-cohort' } });
    expect(await rowOf(rig, rollout, told)).toMatchObject({ status: 'installed' });
    const begun = (await rig.store.decisions(rollout)).findLast((decision) => decision.event === 'begin-wave');
    expect(begun?.reason).toContain('begins with 3 devices');
    await rig.controller.act(rollout, 'rollback', OPERATOR);
    await rig.until(rollout, 'rolled-back');
    expect(rig.fleet.get(told).serving?.version).toBe(1);
    expect(rig.fleet.get(waiting).told).toEqual([]);
  });

  it('while its wave waits for approval, or between two batches of a wave, is not told either', async () => {
    const rig = new Rig(8, () => ({ group: 'in' }));
    const waves = [{ count: 1 }, { percent: '100%', approval: 'operator' }];
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, ...cohort, waves, maxInFlight: 1 }), OPERATOR);
    await rig.until(rollout, 'awaiting-approval');
    const [first = '', , , last = ''] = await inWave(rig, rollout, 1);
    rig.fleet.get(first).labels = {};
    await rig.controller.act(rollout, 'approve', OPERATOR);
    rig.fleet.get(last).labels = {};
    expect(await rig.until(rollout, 'completed')).toBe('completed');
    expect([rig.fleet.get(first).told, rig.fleet.get(last).told]).toEqual([[], []]);
  });

  it('and comes back is told after all', async () => {
    const rig = new Rig(8, () => ({ group: 'in' }));
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, ...cohort, bake: '10m' }), OPERATOR);
    await rig.until(rollout, 'baking');
    const [waiting = ''] = await inWave(rig, rollout, 1);
    rig.fleet.get(waiting).labels = {};
    await rig.until(rollout, 'scheduled', 'installing');
    await rig.step();
    rig.fleet.get(waiting).labels = { group: 'in' };
    await rig.until(rollout, 'completed');
    await rig.step();
    expect(rig.fleet.get(waiting).serving?.version).toBe(2);
  });

  it('of its wave, but not of the rollout, goes to the wave it belongs to now', async () => {
    const rig = new Rig(8, (i) => ({ group: 'in', ring: i < 4 ? 'a' : 'b' }));
    const waves = [{ cohort: 'ring=a' }, { cohort: 'ring=b' }];
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, ...cohort, waves, bake: '10m' }), OPERATOR);
    rig.fleet.get('device-5').labels = { group: 'in', ring: 'a' };
    await rig.until(rollout, 'completed');
    expect(rig.fleet.get('device-5').serving?.version).toBe(2);
  });
});

describe('a device that a person excludes', () => {
  it('is not told, counts for nothing, and what the rollout leaves is not for it', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '10m' }), OPERATOR);
    await rig.until(rollout, 'baking');
    const [waiting = ''] = await inWave(rig, rollout, 1);
    await rig.controller.exclude(rollout, [id(waiting)], OPERATOR, 'in repair');
    await rig.controller.exclude(rollout, [id(waiting)], OPERATOR, 'said twice');
    expect(await rig.until(rollout, 'completed')).toBe('completed');
    await rig.step();
    expect(rig.fleet.get(waiting).told).toEqual([]);
    expect(rig.fleet.standing.map((left) => left.excluded)).toEqual([[waiting]]);
    const excluded = (await rig.store.decisions(rollout)).filter((decision) => decision.event === 'exclude');
    expect(excluded).toMatchObject([{ actor: OPERATOR, reason: 'in repair', devices: [waiting] }]);
    await expect(rig.controller.exclude(rollout, [id(waiting)], OPERATOR, '')).rejects.toMatchObject({ code: 'ROLLOUT_STATE' });
  });

  it('goes back when it was told, and a wave that begins anew leaves it alone', async () => {
    const rig = new Rig(8);
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, bake: '1h', onFailure: 'rollback-wave' }), OPERATOR);
    await rig.until(rollout, 'baking');
    const [told = '', broken = ''] = await inWave(rig, rollout, 0);
    await rig.controller.exclude(rollout, [id(told)], OPERATOR, 'in repair');
    await rig.step();
    expect(rig.fleet.get(told).serving?.version).toBe(1);
    expect(await rowOf(rig, rollout, told)).toMatchObject({ status: 'reverted', released: { why: 'excluded' } });
    const device = rig.fleet.get(broken);
    device.failing = true;
    device.error = { code: 'MODELS_GUARD_ERRORS', message: 'it failed' };
    device.serving = undefined;
    expect(await rig.until(rollout, 'paused')).toBe('paused');
    device.failing = false;
    await rig.controller.act(rollout, 'resume', OPERATOR);
    expect(await rig.until(rollout, 'completed')).toBe('completed');
    expect(rig.fleet.get(told).serving?.version).toBe(1);
  });

  it('has to be part of the rollout', async () => {
    const rig = new Rig(2);
    const { id: rollout } = await rig.controller.create(documentOf(PLAIN), OPERATOR);
    const unknown = rig.controller.exclude(rollout, [id('device-0'), id('device-9')], OPERATOR, '');
    await expect(unknown).rejects.toMatchObject({ code: 'ROLLOUT_DEVICE_UNKNOWN', details: { devices: ['device-9'] } });
    expect(await rowOf(rig, rollout, 'device-0')).toMatchObject({ released: null });
  });
});

describe('a deadline', () => {
  const night = (changes: object = {}) => ({ windows: [{ cron: '0 2 * * *', lasts: '1h', ...changes }] });

  it('runs only while a window is open', async () => {
    const rig = new Rig(8);
    for (const device of rig.fleet.devices.values()) device.silent = true;
    const { id: rollout } = await rig.controller.create(
      documentOf({ ...PLAIN, schedule: night(), deadline: '2h', silent: { after: '60d' } }),
      OPERATOR,
    );
    await rig.step(hours(2));
    expect((await rig.store.read(rollout)).state).toBe('installing');
    for (let hour = 0; hour < 24; hour++) await rig.step(hours(1));
    expect((await rig.store.read(rollout)).state).toBe('installing');
    await rig.step(hours(1));
    expect((await rig.store.read(rollout)).state).toBe('paused');
    const [last] = (await rig.store.decisions(rollout)).slice(-1);
    expect(last).toMatchObject({ event: 'deadline', figures: { deadlineRan: hours(2) } });
  });

  it('runs while some device may be told, where windows are in the time of the devices', async () => {
    const rig = new Rig(8, (i) => ({ 'skerry/time-zone': i % 2 === 0 ? 'Etc.UTC' : 'Asia.Tokyo' }));
    for (const device of rig.fleet.devices.values()) device.silent = true;
    const schedule = night({ time: 'device' });
    const { id: rollout } = await rig.controller.create(
      documentOf({ ...PLAIN, waves: ['100%'], schedule, deadline: '3h', silent: { after: '60d' } }),
      OPERATOR,
    );
    for (let hour = 0; hour < 26; hour++) await rig.step(hours(1));
    expect((await rig.store.read(rollout)).state).toBe('installing');
    // Of two windows a day the third ends the deadline.
    for (let hour = 0; hour < 3; hour++) await rig.step(hours(1));
    expect((await rig.store.read(rollout)).state).toBe('paused');
  });

  it('does not run while it is paused, or waits for approval', async () => {
    const rig = new Rig(8);
    const waves = [{ count: 1 }, { percent: '100%', approval: 'operator' }];
    const { id: rollout } = await rig.controller.create(documentOf({ ...PLAIN, waves, deadline: '2h', bake: '90m' }), OPERATOR);
    await rig.until(rollout, 'baking');
    await rig.controller.act(rollout, 'pause', OPERATOR);
    await rig.step(hours(50));
    await rig.controller.act(rollout, 'resume', OPERATOR);
    expect(await rig.until(rollout, 'awaiting-approval', 'paused')).toBe('awaiting-approval');
    await rig.step(hours(50));
    await rig.controller.act(rollout, 'approve', OPERATOR);
    expect(await rig.until(rollout, 'completed', 'paused')).toBe('completed');
  });
});

describe('what is said of the schedule', () => {
  it('the plan and the rollout say when the next window opens', async () => {
    const rig = new Rig(4);
    const document = documentOf({ ...PLAIN, schedule: { windows: [{ cron: '0 2 * * *', lasts: '1h' }] } });
    const { window } = await rig.controller.plan(document);
    const begin = rig.clock.now();
    expect(window).toEqual({ open: false, changes: begin + hours(2) });
    const record = await rig.controller.create(document, OPERATOR);
    expect(await rig.controller.window(record, await rig.store.devices(record.id))).toEqual(window);
    expect(rig.controller.outlook(record.id)?.waitingFor).toBe('the next window of the schedule, which opens 2026-01-01T02:00:00.000Z');
    await rig.step(hours(2) + minutes(30));
    expect(await rig.controller.window(record, [])).toEqual({ open: true, changes: begin + hours(3) });
  });

  it('devices whose time zone is not known are named in the plan', async () => {
    const zones = ['Europe.Berlin', 'Europe.Berlln', undefined, 'Mars'];
    const rig = new Rig(4, (i) => (zones[i] === undefined ? {} : { 'skerry/time-zone': zones[i] }));
    const windows = [{ cron: '0 2 * * *', lasts: '1h', time: 'device', timeZone: 'Europe/Paris' }];
    const { plan } = await rig.controller.plan(documentOf({ ...PLAIN, waves: ['100%'], schedule: { windows } }));
    expect(plan.warnings).toEqual([
      'label skerry/time-zone of device-1 "Europe.Berlln", device-3 "Mars" names no time zone; windows there are in Europe/Paris',
      'no label skerry/time-zone on device-2; windows there are in Europe/Paris',
    ]);
  });
});
