import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { listEvents } from '#hub/telemetry/events-query.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { signDesired, verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { reportedOf } from '../../kit/messages.js';
import { until } from '../../kit/until.js';

let hub: FleetHub | undefined;
const devices: TestDevice[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const device of devices.splice(0)) device.client.end(true);
  await hub?.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const folder = (): string => {
  const made = mkdtempSync(path.join(os.tmpdir(), 'skerry-restored-'));
  folders.push(made);
  return made;
};

it('18 C: a hub put back to a backup takes over what its devices prove, keeps what is decided since, and goes on counting from there', async () => {
  const directorKey = generateSigningKey();
  const [data, backup] = [folder(), path.join(folder(), 'backup')];
  const start = async (from: string): Promise<FleetHub> => (hub = await FleetHub.start({ folder: from, directorKey }));
  const connect = async (fleet: FleetHub, answer: TestDevice['answer']): Promise<TestDevice> => {
    const device = await fleet.connect(answer);
    devices.push(device);
    await device.listen(deviceTopic(FLEET, device.id, 'desired'));
    return device;
  };
  const opened = (bytes: Uint8Array, device: string) =>
    verifyDesired(bytes, { fleet: FLEET, device, directorKeys: [directorKey.publicKey], last: undefined, now: Date.now() }).desired;
  const newest = (device: TestDevice) => device.on(deviceTopic(FLEET, device.id, 'desired')).at(-1);
  const deploy = (fleet: FleetHub, model: string, version: number) =>
    fleet.fleet.deployments.create({ model, version, selector: '', retry: false, createdBy: 'test' });

  const before = await start(data);
  const manifests: string[] = [];
  for (const version of [1, 2, 3]) {
    manifests.push(await before.addVersion('m', version, { bytes: new Uint8Array(1_000).fill(version), chunk: 400 }));
  }
  await before.addVersion('other', 1, { bytes: new Uint8Array(10), chunk: 10 });
  const device = await before.device('cam-1');
  const bystander = await before.device('cam-2');
  devices.push(device, bystander);
  await deploy(before, 'm', 1);
  await before.stop();
  cpSync(data, backup, { recursive: true });

  const after = await start(data);
  const told = await connect(after, device.answer);
  await deploy(after, 'm', 2);
  await deploy(after, 'm', 3);
  const envelope = await until('the third statement', () => {
    const bytes = newest(told);
    return bytes !== undefined && opened(bytes, 'cam-1').counter === 3 ? bytes : undefined;
  });
  await after.stop();

  const restored = await start(backup);
  const again = await connect(restored, device.answer);
  const say = (who: TestDevice, payload: Parameters<typeof encodeMessage<'held'>>[1]) =>
    who.say(deviceTopic(FLEET, who.id, 'held'), encodeMessage('held', payload));
  // Decided since the backup was put back, for another model.
  await deploy(restored, 'other', 1);
  await again.say(
    deviceTopic(FLEET, again.id, 'reported'),
    encodeMessage('reported', reportedOf('cam-1', { desired: { counter: 3 } })),
    true,
  );
  await until('it to be marked', async () => (await restored.fleet.devices.get('cam-1')).marks.some(({ mark }) => mark === 'ahead'));

  const liar = await connect(restored, bystander.answer);
  const desired = opened(envelope, 'cam-1');
  await say(liar, { device: liar.id, desired: envelope.toString('base64') });
  const forged = signDesired({ ...desired, device: liar.id, counter: 2 ** 50 }, generateSigningKey());
  await say(liar, { device: liar.id, desired: Buffer.from(forged).toString('base64') });
  await say(again, { device: again.id, desired: envelope.toString('base64') });
  const statement = await until('a statement after the third', () => {
    const bytes = newest(again);
    return bytes !== undefined && opened(bytes, 'cam-1').counter > 3 ? opened(bytes, 'cam-1') : undefined;
  });
  expect(statement.counter).toBe(4);
  expect(statement.models.map(({ model, version }) => `${model}@${version}`)).toEqual(['m@3', 'other@1']);
  expect(statement.models[0]?.manifest).toBe(manifests[2]);
  await until('the mark to be gone', async () => (await restored.fleet.devices.get('cam-1')).marks.length === 0);
  expect((await restored.fleet.devices.get('cam-2')).desired.counter).toBe(2);
  expect(restored.recovered).toEqual([expect.stringContaining('statement 3')]);
  expect((await listEvents(restored.db, { device: 'cam-1', limit: 9 })).map(({ kind }) => kind)).toContain('hub.recovered');

  await deploy(restored, 'm', 1);
  await until('the deployment to be told', () => {
    const bytes = newest(again);
    return bytes !== undefined && opened(bytes, 'cam-1').models[0]?.version === 1;
  });
});
