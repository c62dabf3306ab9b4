import { afterEach, describe, expect, it } from 'vitest';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { generateSigningKey, type SigningKey } from '#shared/trust/keys.js';
import { connectDevice } from '../../kit/brokers.js';
import { enrolRequest, FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { eventOf, reportedOf } from '../../kit/messages.js';
import { until } from '../../kit/until.js';

const hubs: FleetHub[] = [];
const clients: TestDevice[] = [];
afterEach(async () => {
  for (const device of clients.splice(0)) device.client.end(true);
  for (const hub of hubs.splice(0)) await hub.close();
});
const startHub = async (): Promise<FleetHub> => {
  const hub = await FleetHub.start();
  hubs.push(hub);
  return hub;
};
const ARTIFACT = { bytes: new Uint8Array(1_000).fill(7), chunk: 400 };

async function enter(hub: FleetHub, token: string, key: SigningKey, device?: string, labels = {}): Promise<TestDevice> {
  const request = enrolRequest({ token, labels, ...(device === undefined ? {} : { device }) }, key);
  const connected = await hub.connect(await hub.fleet.enrolment.enroll(request, '127.0.0.1'));
  clients.push(connected);
  await connected.listen(deviceTopic(FLEET, connected.id, 'desired'), deviceTopic(FLEET, connected.id, 'ack'));
  return connected;
}

function desiredOf(hub: FleetHub, device: TestDevice): DesiredState | undefined {
  const bytes = device.on(deviceTopic(FLEET, device.id, 'desired')).findLast((payload) => payload.length > 0);
  if (bytes === undefined) return undefined;
  const context = { fleet: FLEET, device: device.id, directorKeys: [hub.directorKey.publicKey], last: undefined, now: Date.now() };
  return verifyDesired(bytes, context).desired;
}

const replacementToken = async (hub: FleetHub, device: string): Promise<string> => {
  const wanted = { name: 'replace', labels: {}, maxUses: 1, expiresAt: Date.now() + 60_000, createdBy: 't' };
  return (await hub.fleet.tokens.create({ ...wanted, device: (await hub.fleet.devices.get(device)).id })).token;
};
const counted = (hub: FleetHub): Promise<unknown[]> => hub.db.selectFrom('events').select(['boot', 'seq']).execute();
/** A report that the hub is to count. */
async function report(hub: FleetHub, device: TestDevice, seq: number, before: number): Promise<void> {
  await device.say(deviceTopic(FLEET, device.id, 'event'), encodeMessage('event', eventOf(device.id, seq)));
  await until('counted', async () => (await counted(hub)).length === before + 1);
}

describe('21 I: the name of a dead device', () => {
  it.each(['dead', 'removed'] as const)('is given to a new key, with counters above the old (%s)', async (state) => {
    const hub = await startHub();
    await hub.addVersion('vad', 1, ARTIFACT);
    const [old, fresh] = [generateSigningKey(), generateSigningKey()];
    const before = await enter(hub, await hub.token(), old, 'cam-7', { site: 'lab' });
    await hub.fleet.devices.patchLabels('cam-7', { room: 'r1' });
    await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: 'site=lab', retry: false, createdBy: 't' });
    await until('told', () => desiredOf(hub, before)?.counter === 1);
    await report(hub, before, 1, 0);
    before.client.end(true);
    if (state === 'removed') await hub.fleet.devices.revoke('cam-7');

    await expect(enter(hub, await hub.token(), fresh, 'cam-7')).rejects.toMatchObject({ code: 'DEVICE_ID_TAKEN' });
    const token = await replacementToken(hub, 'cam-7');
    await expect(enter(hub, token, fresh, 'cam-8')).rejects.toMatchObject({ code: 'ENROL_TOKEN_BOUND' });
    // Without a name and without labels: the token says which device it is, and the hub what is known of it.
    const after = await enter(hub, token, fresh);
    expect(after.answer).toMatchObject({ device: 'cam-7', labels: { site: 'lab' } });
    expect(await hub.fleet.devices.get('cam-7')).toMatchObject({
      labels: { site: 'lab', room: 'r1' },
      revokedAt: null,
      publicKey: fresh.publicKey,
    });
    await until('told anew', () => (desiredOf(hub, after)?.counter ?? 0) > 1);
    expect(desiredOf(hub, after)?.models).toMatchObject([{ model: 'vad', version: 1 }]);
    // Its first record has the number of the first record of the machine before it, and counts all the same.
    await report(hub, after, 1, 1);

    await expect(enter(hub, await hub.token(), old, 'cam-9')).rejects.toMatchObject({ code: 'DEVICE_REPLACED' });
    await expect(enter(hub, token, generateSigningKey())).rejects.toMatchObject({ code: 'ENROL_TOKEN_INVALID' });
    await expect(connectDevice(hub.broker.port, 'cam-7', before.answer.mqtt.password)).rejects.toBeDefined();
  });

  it('one that is connected is cut off once the new key enrols, and a second token ends the first', async () => {
    const hub = await startHub();
    const before = await enter(hub, await hub.token(), generateSigningKey(), 'cam-7');
    const lost = await replacementToken(hub, 'cam-7');
    const token = await replacementToken(hub, 'cam-7');
    await expect(enter(hub, lost, generateSigningKey())).rejects.toMatchObject({ code: 'ENROL_TOKEN_INVALID' });
    const closed = new Promise<void>((resolve) => before.client.once('close', resolve));
    await enter(hub, token, generateSigningKey());
    await closed;
  });

  it('a key that is another device is not taken for it', async () => {
    const hub = await startHub();
    await enter(hub, await hub.token(), generateSigningKey(), 'cam-7');
    const other = generateSigningKey();
    await enter(hub, await hub.token(), other, 'cam-8');
    await expect(enter(hub, await replacementToken(hub, 'cam-7'), other)).rejects.toMatchObject({ code: 'DEVICE_ID_TAKEN' });
  });
});

describe('21: a removal is undone', () => {
  it('for the same key and password, with a new statement and what it is to run', async () => {
    const hub = await startHub();
    await hub.addVersion('vad', 1, ARTIFACT);
    const device = await enter(hub, await hub.token(), generateSigningKey(), 'cam-7');
    await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' });
    await until('told', () => desiredOf(hub, device)?.counter === 1);
    await hub.fleet.devices.revoke('cam-7');
    await expect(connectDevice(hub.broker.port, 'cam-7', device.answer.mqtt.password)).rejects.toBeDefined();
    expect(await hub.fleet.devices.restore('cam-7')).toMatchObject({ id: 'cam-7', revokedAt: null });
    const again = await hub.connect(device.answer);
    clients.push(again);
    await again.listen(deviceTopic(FLEET, again.id, 'desired'));
    await until('told anew', () => desiredOf(hub, again)?.counter === 2);
    expect(desiredOf(hub, again)?.models).toMatchObject([{ model: 'vad', version: 1 }]);
    await again.say(deviceTopic(FLEET, again.id, 'reported'), encodeMessage('reported', reportedOf('cam-7')), true);
    await until('heard', async () => (await hub.fleet.devices.get('cam-7')).reported !== null);
    // Nothing to undo, and nobody to undo it for.
    expect(await hub.fleet.devices.restore('cam-7')).toMatchObject({ desired: { counter: 2 } });
    await expect(hub.fleet.devices.restore('nobody')).rejects.toMatchObject({ code: 'DEVICE_UNKNOWN' });
  });
});

it('a device that enrols again with its key is as old as before: what waited in its outbox keeps its time', async () => {
  const hub = await startHub();
  const [key, other] = [generateSigningKey(), generateSigningKey()];
  await enter(hub, await hub.token(), key, 'cam-7');
  const longAgo = Date.now() - 10 * 86_400_000;
  await hub.db.updateTable('devices').set({ enrolled_at: longAgo }).execute();
  await enter(hub, await hub.token(), key, 'cam-7');
  expect((await hub.fleet.devices.get('cam-7')).enrolledAt).toBe(new Date(longAgo).toISOString());
  const device = await enter(hub, await replacementToken(hub, 'cam-7'), other);
  expect(Date.parse((await hub.fleet.devices.get(device.id)).enrolledAt)).toBeGreaterThan(longAgo);
});

it('21 L: a device whose answer was lost asks again with the same token; another key does not', async () => {
  const hub = await startHub();
  const token = await hub.token();
  const key = generateSigningKey();
  const first = await hub.fleet.enrolment.enroll(enrolRequest({ token, device: 'cam-7' }, key), 'h');
  const second = await hub.fleet.enrolment.enroll(enrolRequest({ token, device: 'cam-7' }, key), 'h');
  expect(second.mqtt.password).not.toBe(first.mqtt.password);
  await expect(hub.fleet.enrolment.enroll(enrolRequest({ token }), 'h')).rejects.toMatchObject({ code: 'ENROL_TOKEN_INVALID' });
  expect((await hub.fleet.tokens.list())[0]).toMatchObject({ uses: 1 });
});
