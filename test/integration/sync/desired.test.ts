import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StateStore } from '#agent/store/contract.js';
import type { AgentEvent } from '#agent/store/events.js';
import { DesiredSubscription } from '#agent/sync/desired-source.js';
import type { MessageHandler } from '#agent/sync/contract.js';
import type { MqttLink } from '#agent/sync/link.js';
import { SignedClock } from '#agent/sync/signed-clock.js';
import { TrustFeed } from '#agent/sync/trust-feed.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { deviceIdSchema, fleetIdSchema } from '#shared/protocol/device.js';
import { deviceTopic, trustTopic } from '#shared/protocol/topics.js';
import { DESIRED_PAYLOAD_TYPE, type DesiredState, desiredStateSchema } from '#shared/trust/desired.js';
import { signDesired } from '#shared/trust/decide/desired-verify.js';
import { signEnvelope } from '#shared/trust/dsse.js';
import { generateSigningKey } from '#shared/trust/keys.js';
import { TestBroker } from '../../kit/broker.js';
import { deviceLink } from '../../kit/device-link.js';
import { memoryState } from '../../kit/memory-store.js';
import {
  FLEET,
  makeDevice,
  makeTrustWorld,
  MIRROR_DEADLINE,
  published,
  publishVersion,
  type TestDevice,
  type TrustWorld,
  versionTarget,
} from '../../kit/trust-world.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const device = deviceIdSchema.parse('lab-1');
const fleet = fleetIdSchema.parse(FLEET);
const topic = deviceTopic(fleet, device, 'desired');

let broker: TestBroker;
let world: TrustWorld;
let tuf: TestDevice;
/** By which files come too late: never, unless a test moves it. They come over a wire here. */
let patience: VirtualClock;
let state: StateStore;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  broker = await TestBroker.start();
  world = await makeTrustWorld();
  patience = new VirtualClock();
  tuf = await makeDevice(world, { patience });
  state = memoryState();
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  await broker.kill();
});

interface Started {
  readonly link: MqttLink;
  readonly desired: DesiredSubscription;
  readonly feed: TrustFeed;
  readonly time: SignedClock;
  readonly events: AgentEvent[];
  readonly accepted: DesiredState[];
}

async function startDevice(clock: Clock = systemClock, waiting: Clock = systemClock): Promise<Started> {
  const events: AgentEvent[] = [];
  const sink = { emit: (event: AgentEvent) => void events.push(event) };
  const link = deviceLink(broker.url, { fleet, device });
  const time = await SignedClock.open({ state, clock, events: sink, uptime: () => clock.monotonic() });
  const common = { fleet, link, time, events: sink, clock: systemClock, logger: silentLogger };
  const feed = new TrustFeed({ ...common, mirror: tuf.mirror, client: tuf.client, random: () => 0.5 });
  const desired = await DesiredSubscription.open({ ...common, device, state, director: feed, clock: waiting });
  feed.onRefreshed(() => desired.retry());
  const accepted: DesiredState[] = [];
  desired.onAccepted((item) => accepted.push(item));
  await feed.start();
  await link.start();
  closing.push(
    () => link.close(),
    () => feed.close(),
  );
  await until('online', () => link.status.kind === 'online');
  return { link, desired, feed, time, events, accepted };
}

/** The source of a restarted agent, without a broker; gives what hands it a message as well. */
async function restarted({ feed, time }: Started): Promise<{ source: DesiredSubscription; deliver: (bytes: Uint8Array) => Promise<void> }> {
  let hand: MessageHandler = () => undefined;
  const link = { status: { kind: 'connecting' } as const, onStatus: () => () => undefined, publish: () => Promise.resolve() };
  const subscribe = (_filter: string, handler: MessageHandler) => {
    hand = handler;
    return { ready: Promise.resolve(), close: () => undefined };
  };
  const source = await DesiredSubscription.open({
    fleet,
    device,
    state,
    link: { ...link, subscribe },
    director: feed,
    time,
    events: { emit: () => undefined },
    clock: systemClock,
    logger: silentLogger,
  });
  const deliver = (bytes: Uint8Array): Promise<void> => {
    void hand(topic, bytes, true);
    return source.settled();
  };
  return { source, deliver };
}

async function publishTrust(): Promise<void> {
  const { files } = published(world);
  for (const [name, bytes] of files) await broker.publish(trustTopic(fleet, name), bytes, { retain: true });
  await broker.publish(trustTopic(fleet, 'index'), JSON.stringify({ files: [...files.keys()] }), { retain: true });
}

function statement(counter: number, change: Partial<Record<keyof DesiredState, unknown>> = {}): DesiredState {
  const base = { schema: 'skerry.desired/1', fleet, device, counter, issuedAt: iso(-1_000), expires: iso(3_600_000), models: [] };
  return desiredStateSchema.parse({ ...base, ...change });
}
const iso = (offset: number): string => new Date(Date.now() + offset).toISOString();
const say = (desired: DesiredState, key = world.keys.director): Promise<void> =>
  broker.publish(topic, signDesired(desired, key), { retain: true });

describe('DesiredSubscription and TrustFeed over a broker', () => {
  it('accepts what came before the keys, once the keys have come', async () => {
    const { desired, accepted, events } = await startDevice();
    await say(statement(1));
    await until('the keys to be waited for', () => patience.pending > 0);
    await patience.advance(MIRROR_DEADLINE);
    await until('refused for now', () => desired.refused !== undefined);
    expect(desired.current()).toBeUndefined();
    await publishTrust();
    await until('accepted', () => accepted.length === 1);
    expect(desired.current()?.counter).toBe(1);
    expect(desired.refused).toBeUndefined();
    expect(events.map((event) => event.kind)).toEqual(expect.arrayContaining(['trust.refreshed', 'desired.accepted']));
  });

  it('has it on the disk before anybody hears of it, and again after a restart without network', async () => {
    await publishTrust();
    const first = await startDevice();
    let storedWhenTold = false;
    first.desired.onAccepted(() => void state.get(`sync.desired/${fleet}/${device}`).then((text) => (storedWhenTold = text !== undefined)));
    await say(statement(7));
    await until('accepted', () => first.accepted.length === 1);
    await until('looked', () => storedWhenTold);
    await broker.kill();
    const { source: again } = await restarted(first);
    expect(again.current()?.counter).toBe(7);
  });

  it('18 C: can show a hub what it signed after a restart too, and after an older agent kept no signature', async () => {
    await publishTrust();
    const first = await startDevice();
    const envelope = signDesired(statement(7), world.keys.director);
    const base64 = Buffer.from(envelope).toString('base64');
    await broker.publish(topic, envelope, { retain: true });
    await until('accepted', () => first.accepted.length === 1);
    expect((await restarted(first)).source.signed()).toBe(base64);

    const key = `sync.desired/${fleet}/${device}`;
    const { digest, desired } = JSON.parse((await state.get(key))!) as Record<string, unknown>;
    await state.set(key, JSON.stringify({ digest, desired }));
    const { source, deliver } = await restarted(first);
    expect(source.signed()).toBeUndefined();
    await deliver(envelope);
    expect(source.signed()).toBe(base64);
    expect((await restarted(first)).source.signed()).toBe(base64);
  });

  it('20 K: a desired state that found no room is taken up when there is some, without another connection', async () => {
    await publishTrust();
    const waiting = new VirtualClock();
    const real = state;
    let full = true;
    state = {
      ...real,
      set: (key, value) =>
        full && key.startsWith('sync.desired') ? Promise.reject(new SkerryError('DISK_FULL', 'no space')) : real.set(key, value),
    };
    const { desired, accepted, link } = await startDevice(systemClock, waiting);
    await say(statement(4));
    await until('refused for now', () => desired.refused?.code === 'DISK_FULL');
    await waiting.advance(5_000);
    await desired.settled();
    expect([desired.refused?.code, desired.current()]).toEqual(['DISK_FULL', undefined]);
    full = false;
    await waiting.advance(5_000);
    await until('accepted', () => accepted.length === 1);
    expect([desired.current()?.counter, desired.refused, link.status.kind]).toEqual([4, undefined, 'online']);
    await desired.close();
    expect(waiting.pending).toBe(0);
  });

  it('24 S: stores a desired state as it was signed, for the release of the agent that understands all of it', async () => {
    await publishTrust();
    const { desired } = await startDevice();
    const models = [
      { model: 'vad', version: 2, manifest: 'ab'.repeat(32), attempt: 0, requires: ['mirroring'], candidate: { action: 'mirror' } },
    ];
    const later = JSON.stringify({ ...statement(3), models, hint: 'eco' });
    await broker.publish(topic, signEnvelope(DESIRED_PAYLOAD_TYPE, Buffer.from(later), [world.keys.director]), { retain: true });
    await until('accepted', () => desired.current()?.counter === 3);
    expect(desired.current()?.models[0]).not.toHaveProperty('candidate');
    expect(await state.get(`sync.desired/${fleet}/${device}`)).toContain(later);
  });

  it('refuses a replay, a conflict, another device, another key and an expired one, each with its code, told once', async () => {
    await publishTrust();
    const { desired, accepted, events, link } = await startDevice();
    await say(statement(5));
    await until('accepted', () => accepted.length === 1);
    const cases: readonly (readonly [DesiredState, string, ReturnType<typeof generateSigningKey>?])[] = [
      [statement(4), 'TRUST_DESIRED_REPLAY'],
      [statement(5, { expires: iso(7_200_000) }), 'TRUST_DESIRED_CONFLICT'],
      [statement(6, { device: 'lab-2' }), 'TRUST_DESIRED_DEVICE'],
      [statement(6, { fleet: 'other' }), 'TRUST_DESIRED_FLEET'],
      [statement(6, { issuedAt: iso(-7_200_000), expires: iso(-3_600_000) }), 'TRUST_DESIRED_EXPIRED'],
      [statement(6), 'TRUST_DESIRED_SIGNATURE', generateSigningKey()],
    ];
    for (const [forged, code, key] of cases) {
      await say(forged, key);
      await until(code, () => desired.refused?.code === code);
    }
    expect(desired.current()?.counter).toBe(5);
    const told = (): number => events.filter((event) => event.kind === 'desired.refused').length;
    expect(told()).toBe(cases.length);
    // The retained message comes again with the next session.
    let sessions = 0;
    link.onStatus((status) => (sessions += status.kind === 'online' ? 1 : 0));
    broker.disconnectAll();
    await until('online again', () => sessions === 1);
    await desired.settled();
    expect(told()).toBe(cases.length);
    await say(statement(6));
    await until('accepted', () => desired.current()?.counter === 6);
    expect(desired.refused).toBeUndefined();
  });

  it('looks at new metadata as it comes, and keeps the time it was signed at', async () => {
    await publishTrust();
    const { feed, time, events } = await startDevice();
    await until('refreshed', () => feed.status.timestamp > 0);
    const before = feed.status.timestamp;
    await publishVersion(world, versionTarget('vad', 1, 'a manifest'));
    await publishTrust();
    await until('refreshed again', () => feed.status.timestamp > before);
    expect(await feed.target('models/vad/1.json')).toBeDefined();
    expect(events.filter((event) => event.kind === 'trust.refreshed').length).toBe(2);
    expect(time.freshest).toBeGreaterThan(0);
  });

  it('tells once why metadata was refused, and serves on from what it accepted', async () => {
    await publishTrust();
    const { feed, events } = await startDevice();
    await until('refreshed', () => feed.status.timestamp > 0);
    const forged = Buffer.from(published(world).files.get('timestamp.json')!);
    forged[forged.length - 20] = (forged[forged.length - 20] ?? 0) ^ 1;
    await broker.publish(trustTopic(fleet, 'timestamp.json'), forged, { retain: true });
    await until('refused', () => feed.status.error !== undefined);
    await feed.refresh().catch(() => undefined);
    expect(events.filter((event) => event.kind === 'trust.refused').length).toBe(1);
    expect(feed.status.timestamp).toBeGreaterThan(0);
    await publishTrust();
    await until('good again', () => feed.status.error === undefined);
  });

  it('says that a clock set back cannot be right, and does not let it bring old statements to life', async () => {
    let shift = 0;
    const clock: Clock = { ...systemClock, now: () => systemClock.now() + shift };
    await publishTrust();
    const { desired, accepted, events, time } = await startDevice(clock);
    await say(statement(1));
    await until('accepted', () => accepted.length === 1);
    shift = -30 * 86_400_000;
    await say(statement(2, { issuedAt: iso(-20 * 86_400_000), expires: iso(-10 * 86_400_000) }));
    await until('refused', () => desired.refused?.code === 'TRUST_DESIRED_EXPIRED');
    expect(time.now().trusted).toBe(false);
    expect(events.filter((event) => event.kind === 'clock.untrusted').length).toBe(1);
  });

  it('takes up what looked dated ahead to a clock without battery, once the metadata says what time it is', async () => {
    await publishTrust();
    const before = await startDevice();
    await until('the keys', () => before.feed.status.timestamp > 0);
    await before.link.close();
    // Off for long: it has the keys, and no notion of the time.
    state = memoryState();
    const files = [...published(world).files.keys()];
    for (const name of [...files, 'index']) await broker.publish(trustTopic(fleet, name), '', { retain: true });
    const clock: Clock = { ...systemClock, now: () => systemClock.now() - 400 * 86_400_000 };
    const { desired, accepted, events } = await startDevice(clock);
    await say(statement(3));
    await until('refused for now', () => desired.refused?.code === 'TRUST_SIGNED_IN_FUTURE');
    await publishTrust();
    await until('accepted', () => accepted.length === 1);
    expect([desired.current()?.counter, desired.refused]).toEqual([3, undefined]);
    expect(events.filter((event) => event.kind === 'desired.refused').length).toBe(1);
  });

  it('takes up what looked expired to a clock that was ahead, once that is set right', async () => {
    let shift = 60 * 86_400_000;
    const clock: Clock = { ...systemClock, now: () => systemClock.now() + shift };
    await publishTrust();
    const { desired, accepted, feed } = await startDevice(clock);
    await say(statement(3));
    await until('refused for now', () => desired.refused?.code === 'TRUST_DESIRED_EXPIRED');
    shift = 0;
    await feed.refresh();
    await until('accepted', () => accepted.length === 1);
    expect(desired.refused).toBeUndefined();
  });
});
