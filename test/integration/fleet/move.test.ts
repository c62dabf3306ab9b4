import { afterEach, expect, it } from 'vitest';
import { Moves } from '#hub/fleet/move.js';
import { HubPlaces } from '#hub/fleet/hub-place.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { reportedOf } from '../../kit/messages.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { until } from '../../kit/until.js';

const hubs: FleetHub[] = [];
const clients: TestDevice[] = [];
afterEach(async () => {
  for (const device of clients.splice(0)) device.client.end(true);
  for (const hub of hubs.splice(0)) await hub.close();
});

async function enter(hub: FleetHub, id: string): Promise<TestDevice> {
  const device = await hub.device(id);
  clients.push(device);
  await device.listen(deviceTopic(FLEET, device.id, 'desired'));
  return device;
}

function desiredOf(hub: FleetHub, device: TestDevice): DesiredState | undefined {
  const bytes = device.on(deviceTopic(FLEET, device.id, 'desired')).at(-1);
  if (bytes === undefined) return undefined;
  const context = { fleet: FLEET, device: device.id, directorKeys: [hub.directorKey.publicKey], last: undefined, now: Date.now() };
  return verifyDesired(bytes, context).desired;
}

async function report(hub: FleetHub, device: TestDevice, rest: Parameters<typeof reportedOf>[1]): Promise<void> {
  await device.say(deviceTopic(FLEET, device.id, 'reported'), encodeMessage('reported', reportedOf(device.id, rest)), true);
  const counter = rest?.desired?.counter ?? 0;
  await until('heard', async () => (await hub.fleet.devices.get(device.id)).reported?.desired.counter === counter);
}

it('21 M: a move is announced in signed desired states, followed until every device knows it, and taken back', async () => {
  const hub = await FleetHub.start();
  hubs.push(hub);
  await hub.addVersion('vad', 1, { bytes: new Uint8Array(1_000).fill(7), chunk: 400 });
  const [told, bare, serving] = [await enter(hub, 'told'), await enter(hub, 'bare'), await enter(hub, 'serving')];
  await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' });
  await until('told', () => desiredOf(hub, told)?.counter === 1);
  expect(desiredOf(hub, told)).not.toHaveProperty('hub');
  // Never told anything: one reports that it holds nothing, the other serves what this hub (a restored one) does not know of.
  await hub.db.deleteFrom('desired_models').where('device', 'in', ['bare', 'serving']).execute();
  await hub.db.deleteFrom('desired_states').where('device', 'in', ['bare', 'serving']).execute();
  await report(hub, bare, { models: [] });
  const versions = [{ version: versionNumber(1), manifest: 'ab'.repeat(32) as never, install: 'good' as const }];
  await report(hub, serving, { models: [{ model: modelName('vad'), serving: versionNumber(1), versions }] });

  const moves = new Moves(hub.db, hub.places, hub.fleet.issuer);
  const place = { api: 'https://new.example:7480', brokers: ['mqtts://new.example:8883', 'wss://new.example:7480/mqtt'] };
  expect(await moves.announce({ api: place.api, brokers: ['mqtts://new.example:8883'] })).toEqual({
    ...place,
    devices: { all: 3, informed: 0, waiting: ['bare', 'serving', 'told'] },
  });
  await until('all told', () => desiredOf(hub, told)?.hub !== undefined && desiredOf(hub, bare)?.hub !== undefined);
  expect(desiredOf(hub, told)).toMatchObject({ counter: 2, hub: place, models: [{ model: 'vad' }] });
  expect(desiredOf(hub, bare)).toMatchObject({ counter: 1, hub: place, models: [] });
  await report(hub, told, { at: new Date(Date.now() + 1_000).toISOString(), desired: { counter: 2 } });
  expect((await moves.show()).devices).toEqual({ all: 3, informed: 1, waiting: ['bare', 'serving'] });
  expect(await hub.db.selectFrom('desired_states').select('device').where('device', '=', 'serving').execute()).toEqual([]);
  // Nothing is signed again while nothing changes; taken back, the statement says no more than before.
  await hub.fleet.issuer.renew();
  expect(desiredOf(hub, told)?.counter).toBe(2);
  await moves.cancel();
  await until('taken back', () => desiredOf(hub, told)?.counter === 3);
  expect(desiredOf(hub, told)).not.toHaveProperty('hub');
});

it('21 M: addresses of the settings are announced as well; beside an external broker no address is made up', async () => {
  const hub = await FleetHub.start();
  hubs.push(hub);
  const places = new HubPlaces(hub.db, {
    publicUrl: 'https://hub.example',
    mqttPublicUrl: 'mqtts://broker.example:8883',
    mqttUrl: 'mqtt://10.0.0.1',
  });
  expect(await places.current()).toEqual({ api: 'https://hub.example', brokers: ['mqtts://broker.example:8883'] });
  await places.announce({ api: 'https://new.example', brokers: ['mqtts://new.example:8883'] });
  expect(await places.current()).toEqual({
    api: 'https://new.example',
    brokers: ['mqtts://broker.example:8883', 'mqtts://new.example:8883'],
  });
});
