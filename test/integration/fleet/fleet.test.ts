import { afterEach, describe, expect, it } from 'vitest';
import type { DesiredDecision } from '#hub/fleet/desired-rows.js';
import { days, hours } from '#shared/kernel/time.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic, trustTopic } from '#shared/protocol/topics.js';
import type { DesiredState } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { connectDevice } from '../../kit/brokers.js';
import { enrolRequest, FLEET, FleetHub, type FleetHubOptions, type TestDevice } from '../../kit/fleet-hub.js';
import { eventOf, presenceOf, reportedOf } from '../../kit/messages.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const hubs: FleetHub[] = [];
const clients: TestDevice[] = [];
afterEach(async () => {
  for (const device of clients.splice(0)) device.client.end(true);
  for (const hub of hubs.splice(0)) await hub.close();
});
const startHub = async (options: FleetHubOptions = {}): Promise<FleetHub> => {
  const hub = await FleetHub.start(options);
  hubs.push(hub);
  return hub;
};
const track = (device: TestDevice): TestDevice => {
  clients.push(device);
  return device;
};
const ARTIFACT = { bytes: new Uint8Array(1_000).fill(7), chunk: 400 };

/** The newest desired state a device got, verified as the device would. */
function desiredOf(hub: FleetHub, device: TestDevice): DesiredState | undefined {
  const bytes = device.on(deviceTopic(FLEET, device.id, 'desired')).at(-1);
  if (bytes === undefined) return undefined;
  const context = { fleet: FLEET, device: device.id, directorKeys: [hub.directorKey.publicKey], last: undefined, now: Date.now() };
  return verifyDesired(bytes, context).desired;
}

describe('enrolment', () => {
  it('lets a device in once for a one-time token, with labels of the token', async () => {
    const hub = await startHub();
    const token = await hub.token({ tier: 'gold' });
    const answer = await hub.fleet.enrolment.enroll(enrolRequest({ token, device: 'cam-1', labels: { site: 'lab' } }), 'hub.local');
    expect(answer).toMatchObject({
      device: 'cam-1',
      fleet: FLEET,
      mqtt: { username: 'cam-1', url: `mqtt://hub.local:${hub.broker.port}` },
    });
    expect(Buffer.from(answer.root, 'base64').toString()).toBe('{"root":1}');
    expect(await hub.fleet.devices.get('cam-1')).toMatchObject({ labels: { site: 'lab', tier: 'gold' }, presence: { state: 'never' } });
    await expect(hub.fleet.enrolment.enroll(enrolRequest({ token }), 'hub.local')).rejects.toMatchObject({ code: 'ENROL_TOKEN_INVALID' });
    const connected = await connectDevice(hub.broker.port, 'cam-1', answer.mqtt.password);
    expect(connected.connected).toBe(true);
    connected.end(true);
  });

  it('keeps no password', async () => {
    const hub = await startHub();
    const device = track(await hub.device('cam-1'));
    const rows = await hub.db.selectFrom('devices').selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(device.answer.mqtt.password);
  });

  it('refuses what is not proved, expired, revoked or somebody else’s, and uses no token for it', async () => {
    const hub = await startHub();
    const token = await hub.token();
    const good = enrolRequest({ token, device: 'cam-1' });
    const enroll = (request: typeof good) => hub.fleet.enrolment.enroll(request, 'h');
    await expect(enroll({ ...good, labels: { site: 'other' } })).rejects.toMatchObject({ code: 'ENROL_PROOF_INVALID' });
    const late = await hub.fleet.tokens.create({ name: 'late', labels: {}, maxUses: 1, expiresAt: Date.now() - 1, createdBy: 't' });
    await expect(enroll(enrolRequest({ token: late.token }))).rejects.toMatchObject({ code: 'ENROL_TOKEN_INVALID' });
    await enroll(good);
    const another = await hub.token();
    await expect(enroll(enrolRequest({ token: another, device: 'cam-1' }))).rejects.toMatchObject({ code: 'DEVICE_ID_TAKEN' });
    const [row] = (await hub.fleet.tokens.list()).filter((entry) => entry.name === 'test').slice(-1);
    expect(row?.uses).toBe(0);
    await enroll(enrolRequest({ token: another, device: 'cam-2' }));
  });

  it('gives a device that enrols again with its key new credentials and the same id', async () => {
    const hub = await startHub();
    const key = generateSigningKey();
    const first = await hub.fleet.enrolment.enroll(enrolRequest({ token: await hub.token() }, key), 'h');
    await hub.fleet.devices.patchLabels(first.device, { room: 'r1' });
    const second = await hub.fleet.enrolment.enroll(enrolRequest({ token: await hub.token({ tier: 'gold' }) }, key), 'h');
    expect(second.device).toBe(first.device);
    expect(second.mqtt.password).not.toBe(first.mqtt.password);
    expect((await hub.fleet.devices.get(second.device)).labels).toEqual({ room: 'r1', tier: 'gold' });
  });

  it('cuts a revoked device off and never lets its key in again', async () => {
    const hub = await startHub();
    const key = generateSigningKey();
    const answer = await hub.fleet.enrolment.enroll(enrolRequest({ token: await hub.token() }, key), 'h');
    const device = track(await hub.connect(answer));
    const closed = new Promise<void>((resolve) => device.client.once('close', resolve));
    await hub.fleet.devices.revoke(device.id);
    await closed;
    await expect(hub.fleet.enrolment.enroll(enrolRequest({ token: await hub.token() }, key), 'h')).rejects.toMatchObject({
      code: 'DEVICE_REVOKED',
    });
    expect(await hub.fleet.devices.list()).toEqual([]);
  });
});

describe('desired states', () => {
  it('reach the devices that match, and those that match later', async () => {
    const hub = await startHub();
    const manifest = await hub.addVersion('vad', 1, ARTIFACT);
    const lab = track(await hub.device('lab-1', { site: 'lab' }));
    const field = track(await hub.device('field-1', { site: 'field' }));
    for (const device of [lab, field]) await device.listen(deviceTopic(FLEET, device.id, 'desired'));
    const created = await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: 'site=lab', retry: false, createdBy: 't' });
    expect(created.matched).toBe(1);
    const desired = await until('the desired state', () => desiredOf(hub, lab));
    expect(desired).toMatchObject({ counter: 1, device: 'lab-1', models: [{ model: 'vad', version: 1, manifest, attempt: 0 }] });

    const late = track(await hub.device('lab-2', { site: 'lab' }));
    await late.listen(deviceTopic(FLEET, late.id, 'desired'));
    expect(await until('the late subscriber to be told', () => desiredOf(hub, late))).toMatchObject({
      counter: 1,
      models: [{ version: 1 }],
    });

    await hub.fleet.devices.patchLabels('field-1', { site: 'lab' });
    expect(await until('the relabelled device to be told', () => desiredOf(hub, field))).toMatchObject({ models: [{ version: 1 }] });
  });

  it('let the newest decision win, and follow labels a device reports', async () => {
    const hub = await startHub();
    await hub.addVersion('vad', 1, ARTIFACT);
    await hub.addVersion('vad', 2, { ...ARTIFACT, bytes: new Uint8Array(10) });
    const device = track(await hub.device('cam-1', { site: 'lab' }));
    await device.listen(deviceTopic(FLEET, device.id, 'desired'));
    await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' });
    const second = await hub.fleet.deployments.create({ model: 'vad', version: 2, selector: 'site=field', retry: false, createdBy: 't' });
    expect(second.matched).toBe(0);
    await device.say(
      deviceTopic(FLEET, device.id, 'reported'),
      encodeMessage('reported', reportedOf('cam-1', { labels: { site: 'field' } })),
      true,
    );
    await until('version 2', () => desiredOf(hub, device)?.models[0]?.version === 2);
    expect((await hub.fleet.deployments.get(1)).counts).toMatchObject({ superseded: 1 });
    expect((await hub.fleet.deployments.get(2)).counts).toMatchObject({ waiting: 1 });
  });

  it('are signed again only when the content changed, also over a restart of the hub', async () => {
    const hub = await FleetHub.start();
    await hub.addVersion('vad', 1, ARTIFACT);
    const enrolled = await hub.device('cam-1');
    const wanted = { model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' };
    await hub.fleet.deployments.create(wanted);
    await hub.fleet.deployments.create(wanted);
    enrolled.client.end(true);
    await hub.stop();

    const again = await startHub({ folder: hub.folder, directorKey: hub.directorKey });
    const device = track(await again.connect(enrolled.answer));
    await device.listen(deviceTopic(FLEET, device.id, 'desired'));
    expect(await until('the retained state', () => desiredOf(again, device))).toMatchObject({ counter: 1 });
    await again.fleet.deployments.create({ ...wanted, retry: true });
    await until('another attempt', () => desiredOf(again, device)?.counter === 2);
    expect(desiredOf(again, device)?.models).toMatchObject([{ attempt: 1 }]);
  });

  it('are made again before they expire, and after the key changed', async () => {
    const clock = new VirtualClock();
    const hub = await FleetHub.start({ clock });
    await hub.addVersion('vad', 1, ARTIFACT);
    const token = await hub.fleet.tokens.create({ name: 't', labels: {}, maxUses: 1, expiresAt: clock.now() + days(1), createdBy: 't' });
    const answer = await hub.fleet.enrolment.enroll(enrolRequest({ token: token.token, device: 'cam-1' }), 'h');
    await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' });
    const counter = async (of: FleetHub): Promise<number> => (await of.fleet.devices.get(answer.device)).desired.counter;
    await clock.advance(days(19));
    await hub.fleet.issuer.renew();
    expect(await counter(hub)).toBe(1);
    await clock.advance(days(1) + hours(2));
    await hub.fleet.issuer.renew();
    expect(await counter(hub)).toBe(2);
    await hub.stop();
    const other = await startHub({ folder: hub.folder, clock });
    expect(await counter(other)).toBe(3);
  });

  it.each([
    [
      'a wish was, in the very millisecond of the last one,',
      0,
      (hub: FleetHub, wish: DesiredDecision) => hub.fleet.issuer.write(hub.db, [wish]),
      [2],
    ],
    [
      'an older decision was',
      1_000,
      (hub: FleetHub, wish: DesiredDecision) => hub.fleet.issuer.write(hub.db, [{ ...wish, decidedAt: 1 }]),
      [2],
    ],
    ['a wish was taken back and this was', 1_000, (hub: FleetHub) => hub.db.deleteFrom('desired_models').execute(), []],
  ] as const)('are said after the next start when the hub ended just after %s stored', async (_what, later, store, versions) => {
    const clock = new VirtualClock();
    const hub = await FleetHub.start({ clock });
    await hub.addVersion('vad', 1, ARTIFACT);
    const manifest = await hub.addVersion('vad', 2, { ...ARTIFACT, bytes: new Uint8Array(10) });
    const token = await hub.fleet.tokens.create({ name: 't', labels: {}, maxUses: 1, expiresAt: clock.now() + days(1), createdBy: 't' });
    const { device } = await hub.fleet.enrolment.enroll(enrolRequest({ token: token.token, device: 'cam-1' }), 'h');
    await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' });
    await clock.advance(later);
    const wish = { device, model: modelName('vad'), version: versionNumber(2), manifest, attempt: 0, source: 't', decidedAt: clock.now() };
    await store(hub, wish);
    await hub.stop();
    const again = await startHub({ folder: hub.folder, clock, directorKey: hub.directorKey });
    const { desired } = await again.fleet.devices.get(device);
    expect([desired.counter, desired.models.map(({ version }) => version)]).toEqual([2, [...versions]]);
  });

  it('go out once, however often a device is named', async () => {
    const hub = await startHub();
    const manifest = await hub.addVersion('vad', 1, ARTIFACT);
    const device = track(await hub.device('cam-1'));
    const topic = deviceTopic(FLEET, device.id, 'desired');
    await device.listen(topic);
    const wish = { device: device.id, model: modelName('vad'), version: versionNumber(1), manifest, attempt: 0, source: 't', decidedAt: 1 };
    await hub.db.transaction().execute((trx) => hub.fleet.issuer.write(trx, [wish]));
    await hub.fleet.issuer.issue([device.id, device.id, device.id]);
    await hub.fleet.issuer.forget(device.id);
    await until('the last message', () => device.on(topic).at(-1)?.length === 0);
    expect(device.on(topic)).toHaveLength(2);
  });

  it('refuse a version nobody published and a selector nobody can read', async () => {
    const hub = await startHub();
    const create = (version: number, selector: string) =>
      hub.fleet.deployments.create({ model: 'vad', version, selector, retry: false, createdBy: 't' });
    await expect(create(1, '')).rejects.toMatchObject({ code: 'VERSION_UNKNOWN' });
    await hub.addVersion('vad', 1, ARTIFACT);
    await expect(create(1, 'site in')).rejects.toMatchObject({ code: 'SELECTOR_INVALID' });
    expect(await hub.fleet.deployments.list(10)).toEqual([]);
  });
});

describe('what devices say', () => {
  it('shows in the list, on the live feed and in the progress of a deployment', async () => {
    const hub = await startHub();
    const manifest = await hub.addVersion('vad', 1, ARTIFACT);
    const device = track(await hub.device('cam-1'));
    await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: '', retry: false, createdBy: 't' });
    await device.say(deviceTopic(FLEET, 'cam-1', 'presence'), encodeMessage('presence', presenceOf('cam-1')), true);
    await until('presence', async () => (await hub.fleet.devices.get('cam-1')).presence.state === 'online');
    const report = async (rest: Parameters<typeof reportedOf>[1]): Promise<void> =>
      device.say(deviceTopic(FLEET, device.id, 'reported'), encodeMessage('reported', reportedOf('cam-1', rest)), true);
    const progress = async () => (await hub.fleet.deployments.get(1)).devices[0];
    const version = { version: 1 as never, manifest };
    await report({
      desired: { counter: 1 },
      models: [
        { model: 'vad' as never, serving: null, versions: [{ ...version, install: 'fetching', progress: { have: 250, total: 1_000 } }] },
      ],
    });
    expect(await until('fetching', async () => (await progress())?.state === 'fetching' && progress())).toMatchObject({ percent: 25 });
    await report({
      desired: { counter: 1 },
      models: [{ model: 'vad' as never, serving: 1 as never, versions: [{ ...version, install: 'good', servable: 'available' }] }],
    });
    await until('serving', async () => (await progress())?.state === 'serving');
    expect(await hub.fleet.devices.list({ presence: 'online' })).toMatchObject([{ id: 'cam-1', serving: [{ model: 'vad', version: 1 }] }]);
    const error = { code: 'INFERENCE_GOLDEN_MISMATCH', message: 'no' };
    await report({
      desired: { counter: 1 },
      models: [{ model: 'vad' as never, serving: null, versions: [{ ...version, install: 'bad', error }] }],
    });
    expect(await until('refused', async () => (await progress())?.state === 'refused' && progress())).toMatchObject({ error });
    expect(hub.events.map((event) => event.kind)).toEqual(
      expect.arrayContaining(['device.enrolled', 'deployment.changed', 'device.presence', 'device.reported']),
    );
  });

  it('counts only when it is about themselves', async () => {
    const hub = await startHub();
    const device = track(await hub.device('cam-1'));
    const other = track(await hub.device('cam-2'));
    await device.say(deviceTopic(FLEET, device.id, 'presence'), encodeMessage('presence', presenceOf('cam-2')), true);
    await other.say(deviceTopic(FLEET, other.id, 'event'), encodeMessage('event', eventOf('cam-2', 1)));
    await until('the honest event', () => hub.telemetry.ingest.figures.snapshot.stored.event === 1);
    await hub.fleet.states.flush();
    expect((await hub.fleet.devices.get('cam-2')).presence.state).toBe('never');
  });

  it('leaves nobody online after a restart until they say so', async () => {
    const hub = await FleetHub.start();
    const device = await hub.device('cam-1');
    await device.say(deviceTopic(FLEET, device.id, 'presence'), encodeMessage('presence', presenceOf('cam-1')), true);
    await until('presence', async () => (await hub.fleet.devices.get('cam-1')).presence.state === 'online');
    device.client.end(true);
    await hub.stop();
    const again = await startHub({ folder: hub.folder, directorKey: hub.directorKey });
    expect((await again.fleet.devices.get('cam-1')).presence.state).toBe('offline');
    const back = track(await again.connect(device.answer));
    await back.say(
      deviceTopic(FLEET, back.id, 'presence'),
      encodeMessage('presence', presenceOf('cam-1', { connection: 2, session: 'session-2' })),
      true,
    );
    await until('presence', async () => (await again.fleet.devices.get('cam-1')).presence.state === 'online');
  });
});

describe('trust metadata', () => {
  it('is retained for every device, index included, and cleared when it fell out', async () => {
    const file = (text: string): Uint8Array => new TextEncoder().encode(text);
    let files = new Map([
      ['1.root.json', file('root')],
      ['1.snapshot.json', file('one')],
    ]);
    const hub = await startHub({ trust: () => ({ files, index: { files: [...files.keys()] } }) });
    const early = track(await hub.device('cam-1'));
    await early.listen(trustTopic(FLEET, '+'));
    // One that comes while the hub publishes may be given a file twice: as retained, and as new.
    const names = ({ got }: { readonly got: readonly { readonly topic: string }[] }): ReadonlySet<string | undefined> =>
      new Set(got.map(({ topic }) => topic.split('/').at(-1)));
    await until('root, snapshot and index', () => names(early).size === 3);
    files = new Map([
      ['1.root.json', file('root')],
      ['2.snapshot.json', file('two')],
    ]);
    await hub.fleet.trust.publish();
    const late = track(await hub.device('cam-2'));
    await late.listen(trustTopic(FLEET, '+'));
    await until('what is in force', () => names(late).size === 3);
    expect(names(late)).toEqual(new Set(['1.root.json', '2.snapshot.json', 'index']));
  });
});
