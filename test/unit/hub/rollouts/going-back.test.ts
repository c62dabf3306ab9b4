import { describe, expect, it } from 'vitest';
import { hours, minutes } from '#shared/kernel/time.js';
import { documentOf, OPERATOR, Rig } from './rig.js';

const INSTALL = { waves: ['100%'], reserve: '0%', gates: [{ gate: 'install', atMost: 1 }] };

describe('going back', () => {
  it('reaches a device that a retry was about to tell again', async () => {
    const rig = new Rig(10);
    const away = rig.fleet.get('device-3');
    away.silent = true;
    // Open for ten minutes, in which the device is given up.
    const schedule = { windows: [{ cron: '0 2 * * *', lasts: '10m' }] };
    const { id } = await rig.controller.create(documentOf({ ...INSTALL, schedule, silent: { after: '5m' } }), OPERATOR);
    await rig.step(hours(2));
    await rig.until(id, 'baking');
    for (let i = 0; i < 5; i++) await rig.step();
    // Outside of the window nobody is told.
    await rig.controller.act(id, 'retry', OPERATOR);
    expect((await rig.store.devices(id)).find((row) => row.device === away.id)?.status).toBe('waiting');
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    away.silent = false;
    await rig.step();
    expect(away.serving?.version).toBe(1);
  });

  it('takes away what was staged on devices that had not switched', async () => {
    const rig = new Rig(20);
    const { id } = await rig.controller.create(
      documentOf({ strategy: 'blue-green', waves: ['10%', '100%'], reserve: '0%', gates: [{ gate: 'install' }] }),
      OPERATOR,
    );
    await rig.until(id, 'baking');
    while ((await rig.store.read(id)).wave === 0) await rig.step();
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    for (const device of rig.fleet.devices.values()) expect(device.wish?.target?.version).toBe(1);
  });

  it('goes on although as many devices as may go back at one time cannot', async () => {
    const rig = new Rig(10);
    const { id } = await rig.controller.create(documentOf({ ...INSTALL, rollback: { maxInFlight: 2 } }), OPERATOR);
    await rig.until(id, 'baking');
    const stuck = (await rig.store.devices(id)).slice(0, 2).map((row) => rig.fleet.get(row.device));
    for (const device of stuck) device.failing = true;
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    const rows = await rig.store.devices(id);
    expect(rows.filter((row) => row.status === 'reverted')).toHaveLength(8);
    const named = rows.filter((row) => row.status === 'unproven');
    expect(named.map((row) => [row.device, row.error?.code])).toEqual(stuck.map((device) => [device.id, 'GOLDEN_MISMATCH']));
  });

  it('does not wait for ever for a device that is there and does nothing', async () => {
    const rig = new Rig(4);
    const { id } = await rig.controller.create(documentOf({ ...INSTALL, deadline: '1h', bake: '10m' }), OPERATOR);
    await rig.until(id, 'baking');
    await rig.controller.act(id, 'rollback', OPERATOR);
    const idle = rig.fleet.get('device-1');
    for (let i = 0; i < 90; i++) {
      idle.silent = true;
      idle.heardAt = rig.clock.now();
      await rig.step(minutes(1));
    }
    expect((await rig.store.read(id)).state).toBe('rolled-back');
    expect((await rig.store.devices(id)).find((row) => row.device === idle.id)?.status).toBe('unproven');
  });
});

describe('a retry', () => {
  it('begins no wave that waits for approval', async () => {
    const rig = new Rig(20);
    const { id } = await rig.controller.create(documentOf({ waves: ['10%', { percent: '100%', approval: 'admin' }] }), OPERATOR);
    expect(await rig.until(id, 'awaiting-approval')).toBe('awaiting-approval');
    await rig.controller.act(id, 'pause', OPERATOR);
    await rig.controller.act(id, 'retry', OPERATOR);
    for (let i = 0; i < 5; i++) await rig.step();
    expect((await rig.store.read(id)).state).toBe('awaiting-approval');
    const told = [...rig.fleet.devices.values()].filter((device) => device.told.length > 0);
    expect(told).toHaveLength(2);
  });

  it('begins a wave anew that was taken back', async () => {
    const rig = new Rig(20);
    const { id } = await rig.controller.create(
      documentOf({ waves: ['10%', '100%'], onFailure: 'rollback-wave', deadline: '2h' }),
      OPERATOR,
    );
    await rig.until(id, 'baking');
    rig.evidence.canary = 100;
    expect(await rig.until(id, 'paused')).toBe('paused');
    rig.evidence.canary = 10;
    await rig.controller.act(id, 'retry', OPERATOR);
    expect(await rig.until(id, 'completed', 'paused')).toBe('completed');
  });

  it('does not begin before the schedule lets it', async () => {
    const rig = new Rig(20);
    const schedule = { windows: [{ cron: '0 22 * * *', lasts: '2h' }] };
    const { id } = await rig.controller.create(documentOf({ schedule }), OPERATOR);
    await rig.controller.act(id, 'pause', OPERATOR);
    await rig.controller.act(id, 'retry', OPERATOR);
    await rig.step();
    expect((await rig.store.read(id)).state).toBe('scheduled');
  });
});
