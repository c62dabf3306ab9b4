import { describe, expect, it } from 'vitest';
import { hours, minutes } from '#shared/kernel/time.js';
import { documentOf, OPERATOR, Rig } from './rig.js';

// "This device cannot" is no failure of the version (docs/PROTOCOL.md, "How formats grow").

const STRICT = { waves: ['50%', '100%'], reserve: '0%', gates: [{ gate: 'install', atMost: 0.01 }], bake: '10m' };
const LACKING = { code: 'FEATURE_MISSING', message: 'the manifest needs mirroring' };

/** A fleet of which two devices said at planning that they have the feature, and cannot run the version all the same. */
async function startMixed(rig: Rig): Promise<{ id: string; unable: readonly string[] }> {
  const { id, plan } = await rig.controller.create(documentOf(STRICT), OPERATOR);
  const unable = (plan.waves[0]?.devices ?? []).slice(0, 2);
  for (const device of unable) Object.assign(rig.fleet.get(device), { unsupported: true, error: LACKING });
  return { id, unable };
}

describe('a device whose agent lacks something that the version needs', () => {
  it('is no failed install, is not waited for, and takes the version up once it can', async () => {
    const rig = new Rig(10);
    const { id, unable } = await startMixed(rig);
    await rig.until(id, 'baking');
    const rows = (await rig.store.devices(id)).filter(({ device }) => unable.includes(device));
    expect(rows.map(({ status, error, released }) => [status, error?.code, released])).toEqual(
      unable.map(() => ['unsupported', 'FEATURE_MISSING', null]),
    );
    expect((await rig.store.decisions(id)).at(-1)?.reason).toBe('3 installed, 0 failed, 0 silent');
    for (const device of unable) rig.fleet.get(device).unsupported = false;
    expect(await rig.until(id, 'completed', 'paused', 'rolled-back')).toBe('completed');
    expect((await rig.store.devices(id)).map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 'installed'));
  });

  it('goes back with the others: it must not take up later what was taken back', async () => {
    const rig = new Rig(10);
    const { id, unable } = await startMixed(rig);
    await rig.until(id, 'baking');
    await rig.controller.act(id, 'rollback', OPERATOR);
    expect(await rig.until(id, 'rolled-back')).toBe('rolled-back');
    for (const device of unable) {
      expect(rig.fleet.get(device).wish?.target?.version).toBe(1);
      rig.fleet.get(device).unsupported = false;
    }
    await rig.step();
    for (const device of rig.fleet.devices.values()) expect(device.serving?.version).toBe(1);
  });

  it('lets a first wave in which nobody can wait for somebody, and pause at its deadline', async () => {
    const rig = new Rig(4);
    for (const device of rig.fleet.devices.values()) Object.assign(device, { unsupported: true, error: LACKING });
    const { id } = await rig.controller.create(documentOf({ ...STRICT, deadline: '2h' }), OPERATOR);
    for (let i = 0; i < 5; i++) await rig.step(minutes(10));
    expect((await rig.store.read(id)).state).toMatch(/^(installing|baking|evaluating)$/);
    await rig.step(hours(2));
    expect(await rig.until(id, 'paused', 'rolled-back', 'completed')).toBe('paused');
  });

  it('is named before the start and told nothing; after its own update it joins the wave it belongs to', async () => {
    const rig = new Rig(10);
    rig.fleet.requires = ['mirroring'];
    const able = [...rig.fleet.devices.values()];
    for (const device of able) device.capabilities = { ...device.capabilities, features: ['mirroring'] };
    const old = rig.fleet.get('device-3');
    old.capabilities = { ...old.capabilities, features: [] };
    const { id, plan } = await rig.controller.create(documentOf(STRICT), OPERATOR);
    const why = 'needs mirroring, which its agent does not have yet';
    expect(plan.incapable).toEqual([{ device: old.id, why, lacks: ['mirroring'] }]);
    await rig.until(id, 'baking');
    expect([old.told, (await rig.store.devices(id)).length]).toEqual([[], 9]);
    old.capabilities = { ...old.capabilities, features: ['mirroring'] };
    expect(await rig.until(id, 'completed')).toBe('completed');
    expect(old.serving?.version).toBe(2);
    expect((await rig.store.devices(id)).find(({ device }) => device === old.id)?.status).toBe('installed');
  });
});
