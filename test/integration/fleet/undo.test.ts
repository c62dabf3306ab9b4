import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LiveBus } from '#hub/kernel/live-bus.js';
import { fleetUsers } from '#hub/fleet/version-users.js';
import { Registry } from '#hub/registry/registry.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { rolloutUsers } from '#hub/rollouts/version-users.js';
import { systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { Labels } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { reportedOf } from '../../kit/messages.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { until } from '../../kit/until.js';

let hub: FleetHub;
let registry: Registry;
const devices: TestDevice[] = [];

beforeAll(async () => {
  hub = await FleetHub.start();
});
afterAll(async () => {
  for (const device of devices) device.client.end(true);
  await hub.close();
});

// Each test has a model and a label of its own.
let count = 0;
let model = '';
let site = '';
beforeEach(async () => {
  count += 1;
  model = `model-${count}`;
  site = `site-${count}`;
  for (const version of [1, 2, 3]) {
    const bytes = new Uint8Array(1_000).fill(16 * count + (version === 3 ? 1 : version));
    await hub.addVersion(model, version, { bytes, chunk: 400 });
  }
  const tuf = { target: () => undefined } as never;
  registry = new Registry({
    store: new VersionStore(hub.db),
    storage: hub.artifacts,
    tuf,
    users: [fleetUsers, rolloutUsers],
    live: new LiveBus(silentLogger),
    clock: systemClock,
    logger: silentLogger,
  });
});

async function enrol(name: string, labels: Labels = { site }): Promise<TestDevice> {
  const device = await hub.device(`${name}-${count}`, labels);
  await device.listen(deviceTopic(FLEET, device.id, 'desired'));
  devices.push(device);
  return device;
}

function deploy(version: number | null, selector = `site=${site}`): Promise<{ readonly id: number }> {
  return hub.fleet.deployments.create({ model, version, selector, retry: false, createdBy: 'ada' });
}

async function wanted(device: TestDevice): Promise<number | undefined> {
  return (await hub.fleet.devices.get(device.id)).desired.models.find((entry) => entry.model === model)?.version;
}

const withdraw = (id: number, options: { keep?: boolean; dryRun?: boolean } = {}) =>
  hub.fleet.deployments.withdraw(id, { keep: false, dryRun: false, by: 'ada', ...options });

describe('withdrawing a deployment', () => {
  it('gives its devices what the next one says, and takes the model off those that no other reaches', async () => {
    const both = await enrol('both', { site, tier: 'gold' });
    const only = await enrol('only');
    await deploy(1, `site=${site},tier=gold`);
    const { id } = await deploy(2);
    const planned = await withdraw(id, { dryRun: true });
    expect(planned).toMatchObject({ withdrawnAt: null, fellBack: [{ device: both.id, version: 1 }], takenOff: [only.id], kept: [] });
    expect([await wanted(both), await wanted(only)]).toEqual([2, 2]);
    expect(await withdraw(id)).toMatchObject({ withdrawnBy: 'ada', fellBack: planned.fellBack, takenOff: planned.takenOff });
    expect([await wanted(both), await wanted(only)]).toEqual([1, undefined]);
    const late = await enrol('late');
    expect(await wanted(late)).toBeUndefined();
    expect(await withdraw(id)).toMatchObject({ fellBack: [], takenOff: [] });
    expect((await hub.fleet.deployments.list(10, false)).some((entry) => entry.id === id)).toBe(false);
  });

  it('leaves devices what they have when asked to, and counts for nobody who comes later', async () => {
    const device = await enrol('keeps');
    const { id } = await deploy(2);
    expect(await withdraw(id, { keep: true })).toMatchObject({ kept: [device.id], takenOff: [] });
    expect(await wanted(device)).toBe(2);
    expect(await wanted(await enrol('late'))).toBeUndefined();
  });

  it('says which one there is none of', async () => {
    await expect(withdraw(999_999)).rejects.toMatchObject({ code: 'DEPLOYMENT_UNKNOWN' });
  });
});

describe('taking a model off devices', () => {
  it('is a deployment of nothing: for devices that join later too, until something newer is deployed', async () => {
    const device = await enrol('off');
    await deploy(1);
    const off = await deploy(null);
    expect(await wanted(device)).toBeUndefined();
    const late = await enrol('late');
    expect(await wanted(late)).toBeUndefined();
    await hub.fleet.devices.patchLabels(device.id, { more: 'labels' });
    expect(await wanted(device)).toBeUndefined();
    const progress = async () => (await hub.fleet.deployments.get(off.id)).counts;
    expect(await progress()).toMatchObject({ waiting: 2, removed: 0 });
    const { counter } = (await hub.fleet.devices.get(device.id)).desired;
    const report = reportedOf(device.id, { labels: { site }, desired: { counter }, models: [] });
    await device.say(deviceTopic(FLEET, device.id, 'reported'), encodeMessage('reported', report), true);
    await until('the report', async () => (await progress()).removed === 1);
    await deploy(2);
    expect([await wanted(device), await wanted(late)]).toEqual([2, 2]);
    expect(await progress()).toMatchObject({ superseded: 2 });
  });

  it('is withdrawn like any other: the devices get back what they had', async () => {
    const device = await enrol('back');
    await deploy(1);
    const { id } = await deploy(null);
    expect(await withdraw(id)).toMatchObject({ fellBack: [{ device: device.id, version: 1 }] });
    expect(await wanted(device)).toBe(1);
  });

  it('of a model nobody published is refused', async () => {
    const wrong = { model: 'typing-error', version: null, selector: '', retry: false, createdBy: 'ada' };
    await expect(hub.fleet.deployments.create(wrong)).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
  });
});

describe('deleting a version', () => {
  const remove = (version: number) => registry.delete(modelName(model), versionNumber(version), 'ada');
  const stored = async (version: number): Promise<readonly string[]> => {
    const rows = await hub.db
      .selectFrom('version_artifacts')
      .select('digest')
      .where('model', '=', model)
      .where('version', '=', version)
      .execute();
    return rows.map((row) => row.digest);
  };

  it('is refused while something needs it, which is named', async () => {
    const device = await enrol('needs');
    const { id } = await deploy(2);
    await expect(remove(2)).rejects.toMatchObject({
      code: 'VERSION_IN_USE',
      details: { deployments: [String(id)], wanted: [device.id], kept: [] },
    });
    const manifest = (await hub.fleet.deployments.get(id)).manifest ?? '';
    const versions = [{ version: versionNumber(2), manifest, install: 'good' as const }];
    const report = reportedOf(device.id, { labels: { site }, models: [{ model, serving: versionNumber(1), versions } as never] });
    await device.say(deviceTopic(FLEET, device.id, 'reported'), encodeMessage('reported', report), true);
    await until('the report', async () => (await hub.fleet.devices.get(device.id)).reported !== null);
    await withdraw(id);
    await expect(remove(2)).rejects.toMatchObject({ code: 'VERSION_IN_USE', details: { deployments: [], wanted: [], kept: [device.id] } });
    await hub.fleet.devices.revoke(device.id);
    expect(await remove(2)).toMatchObject({ version: 2, artifacts: 1, bytes: 1_000 });
  });

  it('gives back what no other version needs, and nothing else', async () => {
    const [shared = ''] = await stored(1);
    expect(await stored(3)).toEqual([shared]);
    expect(await remove(1)).toMatchObject({ artifacts: 0, bytes: 0 });
    expect(await hub.artifacts.has(shared as never)).toBe(true);
    expect(await remove(3)).toMatchObject({ artifacts: 1, bytes: 1_000 });
    expect(await hub.artifacts.has(shared as never)).toBe(false);
  });

  it('is for good: it cannot be deployed, and its number is never used again', async () => {
    await remove(3);
    await expect(registry.version(modelName(model), versionNumber(3))).rejects.toMatchObject({ code: 'VERSION_DELETED' });
    await expect(remove(3)).rejects.toMatchObject({ code: 'VERSION_DELETED' });
    await expect(deploy(3)).rejects.toMatchObject({ code: 'VERSION_UNKNOWN' });
    expect(await new VersionStore(hub.db).newest(model)).toBe(3);
    expect((await registry.model(modelName(model))).versions.map((entry) => entry.version)).toEqual([2, 1]);
  });
});
