import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHubKeys } from '#hub/registry/tuf/hub-keys.js';
import type { EventKind } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { DESIRED_SCHEMA, type DesiredState, desiredStateSchema } from '#shared/trust/desired.js';
import { signDesired } from '#shared/trust/decide/desired-verify.js';
import { keyFileSecret } from '#shared/trust/key-file.js';
import path from 'node:path';
import { TestBroker } from '../kit/broker.js';
import { affineModel } from '../kit/onnx-models.js';
import { until } from '../kit/until.js';
import type { Answer, Device } from './device.js';
import { World } from './world.js';

const FLEET = 'main';
const X = [1, 2, 3, 4];

/** What an attacker who is the broker does to messages whose topic fits. */
interface Attack {
  readonly topic: RegExp;
  readonly alter: (payload: Buffer, topic: string) => Buffer | undefined;
}

describe('tampering on the wire (R1)', () => {
  let broker: TestBroker;
  let world: World;
  let device: Device;
  let other: Device;
  let attack: Attack | undefined;
  let newest = 1;
  /** What the device said before the attack. */
  let old: Answer;

  beforeAll(async () => {
    broker = await TestBroker.start();
    broker.alter = (topic, payload) => (attack?.topic.test(topic) === true && payload.length > 0 ? attack.alter(payload, topic) : payload);
    world = await World.start({ hubArgs: ['--mqtt-url', broker.url] });
    device = await world.enrol('victim');
    other = await world.enrol('other');
    await world.publish('m', 1, affineModel({ scale: 2 }), ['--samples', '1']);
    await world.deploy('m@1');
    await Promise.all([device.start(), other.start()]);
    await device.installed('m', 1, 'good');
    await other.installed('m', 1, 'good');
  });
  afterAll(async () => {
    await world.close();
    await broker.kill();
  });

  /** The broker is honest again, and forgot all it was told: the hub tells it anew, and what was held up goes on. */
  beforeEach(async () => {
    attack = undefined;
    await broker.restart();
    await until('the device to have made its peace', async () => {
      const { link, reported } = await device.status();
      const { install } = (await device.version('m', newest)) ?? {};
      const { error, unavailable = [] } = reported.trust;
      const told = error === undefined && unavailable.length === 0 && reported.desired.refused === undefined;
      return link.kind === 'online' && told && (install === 'good' || install === 'bad');
    });
    old = await device.predict('m', X);
  });

  /** A new version goes out under an attack; resolves with the events the hub got to hear of it. */
  const update = async (during: Attack): Promise<number> => {
    newest += 1;
    attack = during;
    await world.publish('m', newest, affineModel({ scale: newest + 1 }), ['--samples', '1']);
    await world.deploy(`m@${newest}`);
    return newest;
  };

  const refusedBy = async (code: string, kind: EventKind): Promise<void> => {
    await world.heard(`device=victim&kind=${kind}&code=${code}`);
    expect(await device.predict('m', X)).toEqual(old);
    expect(await device.serving('m')).toBe(old.version);
  };

  const trustRefused = async (code: string): Promise<void> => {
    await until(`the device to say ${code}`, async () => (await device.status()).reported.trust.error?.code === code);
    await refusedBy(code, 'trust.refused');
  };

  const desiredRefused = async (code: string): Promise<void> => {
    await until(`the device to say ${code}`, async () => (await device.status()).reported.desired.refused?.code === code);
    await refusedBy(code, 'desired.refused');
  };

  it('a chunk: BUNDLE_CHUNK_MISMATCH', async () => {
    const digests = new Set<string>();
    const version = await update({
      topic: /\/blob\//,
      alter: (payload, topic) => {
        digests.add(topic);
        // The manifest passes: it is JSON, and what is wanted here is a wrong chunk under a right one.
        return payload.toString('utf8', 0, 1) === '{' ? payload : flipped(payload);
      },
    });
    await device.installed('m', version, 'bad');
    expect(digests.size).toBeGreaterThan(1);
    await refusedBy('BUNDLE_CHUNK_MISMATCH', 'version.refused');
  });

  it('a manifest: BUNDLE_DIGEST_MISMATCH', async () => {
    const version = await update({
      topic: /\/blob\//,
      alter: (payload) => replaced(payload, '"skerry.manifest/1"', '"skerry.manifesT/1"'),
    });
    await device.installed('m', version, 'bad');
    await refusedBy('BUNDLE_DIGEST_MISMATCH', 'version.refused');
  });

  it('the targets of a model: TRUST_TARGETS_HASH', async () => {
    await update({ topic: /\/trust\/\d+\.publisher_m\.json$/, alter: (payload) => replaced(payload, '"length":', '"length": ') });
    // The file of one model: the metadata of the fleet is taken up, and this model alone gets nothing new.
    await until('the device to say TRUST_TARGETS_HASH', async () =>
      (await device.status()).reported.trust.unavailable?.some(
        ({ role, error }) => role === 'publisher_m' && error.code === 'TRUST_TARGETS_HASH',
      ),
    );
    await refusedBy('TRUST_TARGETS_HASH', 'trust.refused');
  });

  it('the snapshot: TRUST_SNAPSHOT_HASH', async () => {
    await update({ topic: /\/trust\/\d+\.snapshot\.json$/, alter: (payload) => replaced(payload, '"version":', '"version": ') });
    await trustRefused('TRUST_SNAPSHOT_HASH');
  });

  it('the timestamp: TRUST_TIMESTAMP_SIGNATURE', async () => {
    const later = (text: string): string => text.replace(/"expires":\s*"(\d{4})/, (_, year: string) => `"expires":"${Number(year) + 1}`);
    await update({ topic: /\/trust\/timestamp\.json$/, alter: (payload) => Buffer.from(later(payload.toString())) });
    await trustRefused('TRUST_TIMESTAMP_SIGNATURE');
  });

  it('the root: TRUST_ROOT_SIGNATURE', async () => {
    const later = (text: string): string => text.replace(/"expires":\s*"(\d{4})/, (_, year: string) => `"expires":"${Number(year) + 1}`);
    attack = { topic: /\/trust\/2\.root\.json$/, alter: (payload) => Buffer.from(later(payload.toString())) };
    const { publisherFolder, folder } = world.fleet;
    await world.fleet.command(['trust', 'rotate-root', '--keys', publisherFolder, '--passphrase-file', path.join(folder, 'passphrase')]);
    await trustRefused('TRUST_ROOT_SIGNATURE');
  });

  it('the desired state: TRUST_DESIRED_SIGNATURE', async () => {
    const forge = (payload: Buffer): Buffer => {
      const envelope = JSON.parse(payload.toString()) as { payload: string };
      const desired = desiredStateSchema.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()));
      const forged = { ...desired, counter: desired.counter + 100 };
      return Buffer.from(JSON.stringify({ ...envelope, payload: Buffer.from(JSON.stringify(forged)).toString('base64') }));
    };
    await update({ topic: topicOf('victim'), alter: forge });
    await desiredRefused('TRUST_DESIRED_SIGNATURE');
  });

  it("another device's desired state: TRUST_DESIRED_DEVICE", async () => {
    let others: Buffer | undefined;
    await update({
      topic: /\/desired$/,
      alter: (payload, topic) => {
        if (topicOf('other').test(topic)) others = payload;
        return topicOf('victim').test(topic) ? undefined : payload;
      },
    });
    const swapped = await until('the other device to be told', () => others);
    await broker.publish(deviceTopic(FLEET, 'victim', 'desired'), swapped, { retain: true });
    await desiredRefused('TRUST_DESIRED_DEVICE');
  });

  it('an older desired state, replayed: TRUST_DESIRED_REPLAY', async () => {
    const [oldest] = broker.on(deviceTopic(FLEET, 'victim', 'desired'));
    await broker.publish(deviceTopic(FLEET, 'victim', 'desired'), oldest ?? '', { retain: true });
    await desiredRefused('TRUST_DESIRED_REPLAY');
  });

  it('a hub that fell into foreign hands cannot make it run what no publisher signed: MODELS_NOT_TRUSTED', async () => {
    const { director } = await openHubKeys(
      path.join(world.fleet.hubData, 'keys'),
      await keyFileSecret(path.join(world.fleet.hubData, 'keys', 'hub.secret')),
    );
    const { reported } = await device.status();
    const now = Date.now();
    const statement: DesiredState = desiredStateSchema.parse({
      schema: DESIRED_SCHEMA,
      fleet: FLEET,
      device: 'victim',
      counter: reported.desired.counter + 1_000,
      issuedAt: new Date(now).toISOString(),
      expires: new Date(now + 3_600_000).toISOString(),
      models: [{ model: 'm', version: 99, manifest: 'ab'.repeat(32), attempt: 0 }],
    });
    await broker.publish(deviceTopic(FLEET, 'victim', 'desired'), signDesired(statement, director), { retain: true });
    await device.installed('m', 99, 'bad');
    await refusedBy('MODELS_NOT_TRUSTED', 'version.refused');
  });
});

function topicOf(name: string): RegExp {
  return new RegExp(`/${name}/desired$`);
}

function flipped(payload: Buffer): Buffer {
  const copy = Buffer.from(payload);
  copy.writeUInt8(copy.readUInt8(copy.length >> 1) ^ 0xff, copy.length >> 1);
  return copy;
}

function replaced(payload: Buffer, from: string, to: string): Buffer {
  return Buffer.from(payload.toString('latin1').replace(from, to), 'latin1');
}
