import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { BrokerPort } from '#hub/broker/link.js';
import { BlobServer } from '#hub/fleet/blob-server.js';
import type { ServableBlob } from '#hub/fleet/hub-blobs.js';
import { bitmapToBase64, emptyBitmap, fullBitmap, setBit } from '#shared/bundle/bitmap.js';
import { digestOf } from '#shared/bundle/digest.js';
import { type Digest, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage, encodeMessage } from '#shared/protocol/codec.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import type { FetchRequest } from '#shared/protocol/messages.js';
import { blobFilter, deviceTopic } from '#shared/protocol/topics.js';
import { FLEET, FleetHub, type FleetHubOptions, type TestDevice } from '../../kit/fleet-hub.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const CHUNK = 16 * 1024;
const PIECES = 40;
const BYTES = randomBytes(CHUNK * PIECES - 100);
const DIGEST = digestOf(BYTES);

const open: FleetHub[] = [];
afterEach(async () => {
  for (const hub of open.splice(0)) await hub.close();
});
async function start(options: FleetHubOptions = {}): Promise<{ hub: FleetHub; manifest: Digest; one: TestDevice; two: TestDevice }> {
  const hub = await FleetHub.start({ ...options, fleet: { blobs: { gather: 100, gatherMost: 250 } } });
  open.push(hub);
  const manifest = await hub.addVersion('vad', 1, { bytes: BYTES, chunk: CHUNK });
  const [one, two] = [await hub.device('d1'), await hub.device('d2')];
  for (const { id } of [one, two]) await tell(hub, id, manifest);
  return { hub, manifest, one, two };
}

/** Wishes vad@1 of the device, which lets it fetch that version. */
function tell(hub: FleetHub, device: DeviceId, manifest: Digest): Promise<void> {
  const version = { model: modelNameSchema.parse('vad'), version: versionNumberSchema.parse(1), manifest };
  return hub.fleet.issuer.set([{ device, ...version, attempt: 1, source: 'test', decidedAt: Date.now() }]);
}

function ask(device: TestDevice, request: Pick<FetchRequest, 'kind' | 'digest' | 'pieces'> & { missing: Uint8Array }): Promise<void> {
  const message = { ...request, device: device.id, id: 'f1', missing: bitmapToBase64(request.missing) };
  return device.say(deviceTopic(FLEET, device.id, 'fetch'), encodeMessage('fetch', message));
}

/** The blob put together from what the device received. */
function received(device: TestDevice, digest: string): Map<number, Buffer> {
  const pieces = device.got.filter((message) => message.topic.includes(`/blob/${digest}/`));
  return new Map(pieces.map((message) => [Number(message.topic.split('/').at(-1)), message.payload]));
}

function joined(pieces: ReadonlyMap<number, Buffer>): Buffer {
  return Buffer.concat([...pieces].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
}

const whole = { kind: 'artifact', digest: DIGEST, pieces: PIECES, missing: fullBitmap(PIECES) } as const;

describe('blob server', () => {
  it('sends a blob once for two devices that ask together', async () => {
    const clock = new VirtualClock();
    const { hub, one, two } = await start({ clock });
    for (const device of [one, two]) await device.listen(blobFilter(FLEET, DIGEST));
    const { blobs } = hub.fleet;
    const take = blobs.request.bind(blobs);
    let taken = 0;
    blobs.request = (request) => take(request).then(() => void (taken += 1));
    await Promise.all([ask(one, whole), ask(two, whole)]);
    await until('the hub to have both requests', () => taken === 2);
    expect(blobs.figures).toEqual({ pieces: 0, bytes: 0, waiting: PIECES });
    await clock.advance(100);
    await until('both to have it', () => received(one, DIGEST).size === PIECES && received(two, DIGEST).size === PIECES);
    expect(joined(received(one, DIGEST)).equals(BYTES)).toBe(true);
    expect(joined(received(two, DIGEST)).equals(BYTES)).toBe(true);
    await until('the acknowledgements', () => hub.fleet.blobs.figures.pieces === PIECES);
    expect(hub.fleet.blobs.figures).toMatchObject({ pieces: PIECES, bytes: BYTES.length, waiting: 0 });
  });

  it('waits for devices that ask one after the other, and not for ever', async () => {
    const clock = new VirtualClock();
    const { hub, one, two } = await start({ clock });
    const { blobs } = hub.fleet;
    const by = (device: TestDevice) => ({ ...whole, device: device.id, id: 'f1', missing: bitmapToBase64(whole.missing) });
    await blobs.request(by(one));
    await clock.advance(90);
    await blobs.request(by(two));
    await clock.advance(90);
    expect(blobs.figures.waiting, 'the second began the wait anew').toBe(PIECES);
    await blobs.request(by(one));
    await clock.advance(69);
    expect(blobs.figures.waiting).toBe(PIECES);
    await clock.advance(1);
    await until('the answer', () => blobs.figures.pieces === PIECES);
  });

  it('lets requests for one blob gather while another goes out', async () => {
    const clock = new VirtualClock();
    const { hub, manifest, one } = await start({ clock });
    const { blobs } = hub.fleet;
    // The broker has not taken the pieces of the first yet.
    let take: () => void = () => undefined;
    const taken = new Promise<void>((resolve) => {
      take = resolve;
    });
    const publish = hub.link.publish.bind(hub.link);
    let onTheirWay = 0;
    hub.link.publish = async (...message) => {
      onTheirWay += 1;
      await taken;
      return publish(...message);
    };
    const missing = emptyBitmap(PIECES);
    for (const index of [3, 39]) setBit(missing, index);
    await blobs.request({ ...whole, device: one.id, id: 'f1', missing: bitmapToBase64(missing) });
    await clock.advance(100);
    await until('two pieces on their way', () => onTheirWay === 2);
    const ofManifest = { kind: 'target', digest: manifest, pieces: 1, missing: bitmapToBase64(fullBitmap(1)) } as const;
    await blobs.request({ ...ofManifest, device: one.id, id: 'f2' });
    expect(blobs.figures.waiting, 'it waits for more who want it').toBe(1);
    await clock.advance(100);
    await until('the manifest on its way', () => onTheirWay === 3);
    take();
    await until('all of it', () => blobs.figures.pieces === 3);
  });

  it('sends only what is missing', async () => {
    const { hub, one } = await start();
    await one.listen(blobFilter(FLEET, DIGEST));
    const missing = emptyBitmap(PIECES);
    for (const index of [3, 39]) setBit(missing, index);
    await ask(one, { ...whole, missing });
    await until('two pieces', () => hub.fleet.blobs.figures.pieces === 2);
    await until('their arrival', () => received(one, DIGEST).size === 2);
    expect([...received(one, DIGEST).keys()].sort((a, b) => a - b)).toEqual([3, 39]);
    expect(received(one, DIGEST).get(39)?.length).toBe(CHUNK - 100);
  });

  it('serves a manifest by its digest', async () => {
    const { manifest, one } = await start();
    await one.listen(blobFilter(FLEET, manifest));
    await ask(one, { kind: 'target', digest: manifest, pieces: 1, missing: fullBitmap(1) });
    await until('the manifest', () => received(one, manifest).size === 1);
    expect(digestOf(joined(received(one, manifest)))).toBe(manifest);
  });

  it('sends nothing to a device whose desired state leads elsewhere, which can not listen to the answers to others either', async () => {
    const { hub, manifest, one } = await start();
    const stranger = await hub.device('stranger');
    for (const filter of [
      blobFilter(FLEET, DIGEST),
      blobFilter(FLEET, manifest),
      `skerry/v1/${FLEET}/blob/#`,
      `skerry/v1/${FLEET}/blob/+/+`,
    ]) {
      expect(await stranger.subscribe(filter), filter).toBe('refused');
    }
    await stranger.listen(deviceTopic(FLEET, stranger.id, 'cmd'));
    await one.listen(blobFilter(FLEET, DIGEST));
    await ask(one, whole);
    await ask(stranger, whole);
    await until('the refusal', () => stranger.got.length > 0);
    const [refusal] = stranger.on(deviceTopic(FLEET, stranger.id, 'cmd'));
    expect(decodeMessage('cmd', refusal!, stranger.id)).toMatchObject({ kind: 'fetch-refused', error: { code: 'BLOB_FORBIDDEN' } });
    await until('the blob at the other device', () => received(one, DIGEST).size === PIECES);
    expect(received(stranger, DIGEST).size).toBe(0);

    await tell(hub, stranger.id, manifest);
    expect(await stranger.subscribe(blobFilter(FLEET, DIGEST))).toBe('granted');
    await ask(stranger, whole);
    await until('the blob, once it is told to run the version', () => received(stranger, DIGEST).size === PIECES);
    await hub.fleet.issuer.remove(stranger.id, [modelNameSchema.parse('vad')]);
    expect(await stranger.subscribe(blobFilter(FLEET, manifest)), 'after the model was taken away').toBe('refused');
  });

  it('says so when it holds no such blob, counts other pieces, or can no longer read it', async () => {
    const { hub, one } = await start();
    await one.listen(deviceTopic(FLEET, one.id, 'cmd'));
    const refusals = (): string[] =>
      one.on(deviceTopic(FLEET, one.id, 'cmd')).map((payload) => {
        const cmd = decodeMessage('cmd', payload, one.id);
        return cmd.kind === 'fetch-refused' ? cmd.error.code : cmd.kind;
      });
    await ask(one, { ...whole, digest: digestOf(new Uint8Array(1)) });
    await until('the first refusal', () => refusals().length === 1);
    await ask(one, { ...whole, pieces: 7, missing: fullBitmap(7) });
    await until('the second refusal', () => refusals().length === 2);
    await ask(one, { ...whole, missing: new Uint8Array(1) });
    await until('the third refusal', () => refusals().length === 3);
    await rm(path.join(hub.folder, 'artifacts', DIGEST.slice(0, 2), DIGEST));
    await ask(one, whole);
    await until('the fourth refusal', () => refusals().length === 4);
    expect(refusals()).toEqual(['BLOB_UNKNOWN', 'BLOB_PIECES_MISMATCH', 'BLOB_PIECES_MISMATCH', 'ARTIFACT_UNKNOWN']);
  });
});

describe('requests that make work', () => {
  /** A server whose blob has two pieces; counts what is looked up and what is refused. */
  function server(clock = new VirtualClock()) {
    const done = { lookUps: 0, refusals: 0 };
    const link: BrokerPort = {
      status: { kind: 'online', since: 0, connection: 1 },
      onStatus: () => () => undefined,
      subscribe: () => undefined,
      onOnline: () => undefined,
      publish: (topic) => {
        if (topic.endsWith('/cmd')) done.refusals += 1;
        return Promise.resolve();
      },
    };
    const lookUp = (): Promise<ServableBlob> => {
      done.lookUps += 1;
      return Promise.resolve({ pieces: 2, read: () => Promise.resolve(new Uint8Array(1)) });
    };
    const blobs = new BlobServer({
      link,
      fleet: FLEET,
      source: { open: lookUp },
      rights: { mayFetch: () => Promise.resolve(true) },
      clock,
      logger: silentLogger,
    });
    const request = (device: string, missing: Uint8Array, pieces = 2, digest: Digest = DIGEST): Promise<void> =>
      blobs.request({ device: deviceIdSchema.parse(device), id: 'f1', kind: 'artifact', digest, pieces, missing: bitmapToBase64(missing) });
    return { clock, done, blobs, request };
  }

  it('are not looked up when they ask for nothing', async () => {
    const { done, request } = server();
    for (let i = 0; i < 10; i++) await request('d1', emptyBitmap(2));
    expect(done).toEqual({ lookUps: 0, refusals: 0 });
  });

  it('are looked up once when they count other pieces, and refused so many times a minute', async () => {
    const { clock, done, request } = server();
    for (let i = 0; i < 100; i++) await request('d1', fullBitmap(3), 3);
    expect(done).toEqual({ lookUps: 1, refusals: 16 });
    await request('d2', fullBitmap(3), 3);
    expect(done, 'another device is told').toEqual({ lookUps: 1, refusals: 17 });
    await clock.advance(60_000);
    await request('d1', fullBitmap(3), 3);
    expect(done.refusals).toBe(18);
  });

  it('are looked up once for all that ask at the same time', async () => {
    const { done, request, blobs } = server();
    await Promise.all(Array.from({ length: 50 }, (_, i) => request(`d${i}`, fullBitmap(2))));
    expect(done).toEqual({ lookUps: 1, refusals: 0 });
    expect(blobs.figures.waiting).toBe(2);
    await blobs.close();
  });

  it('have no more than so many blobs looked up a minute for one device', async () => {
    const { clock, done, request, blobs } = server();
    const digests = Array.from({ length: 300 }, (_, i) => digestOf(new Uint8Array([i & 255, i >> 8])));
    for (const digest of digests) await request('d1', fullBitmap(2), 2, digest);
    expect(done.lookUps).toBe(128);
    await request('d2', fullBitmap(2), 2, digestOf(new Uint8Array(9)));
    expect(done.lookUps).toBe(129);
    await clock.advance(60_000);
    await request('d1', fullBitmap(2), 2, digestOf(new Uint8Array(8)));
    expect(done.lookUps).toBe(130);
    await blobs.close();
  });
});
