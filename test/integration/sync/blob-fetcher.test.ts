import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FetchSettings } from '#agent/sync/blob-download.js';
import { MqttBlobFetcher } from '#agent/sync/blob-fetcher.js';
import type { MqttLink } from '#agent/sync/link.js';
import type { Digest } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { BlobHub } from '../../kit/blob-hub.js';
import { TestBroker } from '../../kit/broker.js';
import { deviceLink } from '../../kit/device-link.js';
import { MemoryBlob, sha256 } from '../../kit/memory-store.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

let broker: TestBroker;
let hub: BlobHub;
/** By which fetches take the hub for silent: never, unless a test moves it. */
let patience: VirtualClock;
const links: MqttLink[] = [];

beforeEach(async () => {
  broker = await TestBroker.start();
  hub = new BlobHub(broker, 'test');
  patience = new VirtualClock();
});

afterEach(async () => {
  for (const link of links.splice(0)) await link.close();
  await broker.kill();
});

async function connect(name = 'lab-1', settings: Partial<FetchSettings> = {}): Promise<{ link: MqttLink; fetcher: MqttBlobFetcher }> {
  const device = name as DeviceId;
  const link = deviceLink(broker.url, { device });
  links.push(link);
  const fetcher = new MqttBlobFetcher({
    fleet: 'test',
    device,
    link,
    clock: patience,
    logger: silentLogger,
    random: () => 0.5,
    settings: { silence: SILENCE, ...settings },
  });
  link.subscribe(deviceTopic('test', device, 'cmd'), (_topic, payload) => {
    const cmd = decodeMessage('cmd', payload, device);
    if (cmd.kind === 'fetch-refused') fetcher.refused(cmd);
  });
  await link.start();
  await until('online', () => link.status.kind === 'online');
  return { link, fetcher };
}

function makeBlob(count: number, bytes = 500): { digest: Digest; pieces: Uint8Array[] } {
  const pieces = Array.from({ length: count }, () => randomBytes(bytes));
  const digest = sha256(Buffer.concat(pieces)) as Digest;
  hub.blobs.set(digest, pieces);
  return { digest, pieces };
}

const SILENCE = { base: 400, max: 1_000 };
const never = new AbortController().signal;
const tally = (items: readonly number[]): number => items.length - new Set(items).size;

describe('MqttBlobFetcher', () => {
  it('fetches a blob window by window, each piece once', async () => {
    const { digest, pieces } = makeBlob(300);
    const blob = new MemoryBlob(pieces);
    const { fetcher } = await connect('lab-1', { size: 40, low: 10 });
    const progress: number[] = [];
    await fetcher.fetch('artifact', digest, blob, 300, (bytes) => progress.push(bytes), never);
    expect(Buffer.concat(blob.content as Uint8Array[]).equals(Buffer.concat(pieces))).toBe(true);
    await until('the broker to have taken the last piece', () => hub.sent.length >= 300);
    expect(hub.sent.length).toBe(300);
    expect(hub.requests.length).toBeGreaterThan(5);
    expect(progress.at(-1)).toBe(300 * 500);
  });

  it('resumes after the broker was killed in mid-download without asking again for what it has', async () => {
    const { digest, pieces } = makeBlob(120);
    const blob = new MemoryBlob(pieces);
    const { fetcher } = await connect('lab-1', { size: 50, low: 10 });
    let killed = 0;
    hub.onPiece = async (index, bytes) => {
      if (index === 70 && killed === 0) {
        await until('all sent so far has arrived', () => blob.content.filter((piece) => piece !== undefined).length === hub.sent.length);
        killed = hub.sent.length;
        await broker.kill();
      }
      return bytes;
    };
    const done = fetcher.fetch('artifact', digest, blob, 120, () => undefined, never);
    await until('killed', () => !broker.running && killed > 0);
    await broker.restart();
    await done;
    expect(killed).toBeGreaterThanOrEqual(70);
    expect(tally(hub.sent)).toBe(0);
    expect(blob.repeated).toBe(0);
  });

  it('asks again for exactly what was lost, after a silence', async () => {
    const { digest, pieces } = makeBlob(20);
    const blob = new MemoryBlob(pieces);
    const lost = new Set([3, 7, 19]);
    hub.onPiece = (index, bytes) => (lost.delete(index) ? undefined : bytes);
    const { fetcher } = await connect();
    const done = fetcher.fetch('artifact', digest, blob, 20, () => undefined, never);
    await until('all but the lost pieces', () => blob.haveBytes === 17 * 500 && hub.sent.length === 17);
    await patience.advance(SILENCE.base);
    await done;
    expect(hub.sent.slice(-3)).toEqual([3, 7, 19]);
    expect(hub.sent.length).toBe(20);
    expect(hub.requests.length).toBe(2);
  });

  it('listens to the pieces another device asked for, too', async () => {
    const { digest, pieces } = makeBlob(200);
    const first = new MemoryBlob(pieces);
    const second = new MemoryBlob(pieces);
    const a = await connect('lab-1');
    const b = await connect('lab-2');
    await Promise.all([
      a.fetcher.fetch('artifact', digest, first, 200, () => undefined, never),
      b.fetcher.fetch('artifact', digest, second, 200, () => undefined, never),
    ]);
    expect([first.haveBytes, second.haveBytes]).toEqual([100_000, 100_000]);
    expect(hub.sent.length).toBeLessThanOrEqual(400);
  });

  it('throws a wrong piece away, asks for it again, and gives up after several', async () => {
    const { digest, pieces } = makeBlob(5);
    let wrong = 2;
    hub.onPiece = (index, bytes) => (index === 2 && wrong-- > 0 ? randomBytes(500) : bytes);
    const { fetcher } = await connect();
    await fetcher.fetch('artifact', digest, new MemoryBlob(pieces), 5, () => undefined, never);
    wrong = 100;
    const failing = fetcher.fetch('artifact', digest, new MemoryBlob(pieces), 5, () => undefined, never);
    await expect(failing).rejects.toMatchObject({ code: 'BUNDLE_CHUNK_MISMATCH' });
  });

  it('fails with what the hub refused it for', async () => {
    const { digest, pieces } = makeBlob(5);
    hub.refuseWith = { code: 'BLOB_UNKNOWN', message: 'not here' };
    const { fetcher } = await connect();
    const failing = fetcher.fetch('target', digest, new MemoryBlob(pieces), 5, () => undefined, never);
    await expect(failing).rejects.toMatchObject({ code: 'BLOB_UNKNOWN', message: 'not here' });
  });

  it('fails after several silences, and with DISK_FULL when the disk is', async () => {
    const { digest, pieces } = makeBlob(5);
    const { fetcher } = await connect('lab-1', { maxSilences: 2 });
    hub.onPiece = () => undefined;
    const silent = fetcher.fetch('artifact', digest, new MemoryBlob(pieces), 5, () => undefined, never);
    const outcome = silent.catch((cause: unknown) => cause);
    for (let asked = 1; asked <= 2; asked += 1) {
      await until('a request', () => hub.requests.length === asked);
      await patience.advance(SILENCE.max);
    }
    expect(await outcome).toMatchObject({ code: 'SYNC_FETCH_TIMEOUT' });
    hub.onPiece = (_index, bytes) => bytes;
    const full = new MemoryBlob(pieces);
    full.beforeWrite = () => {
      throw new SkerryError('DISK_FULL', 'no space');
    };
    await expect(fetcher.fetch('artifact', digest, full, 5, () => undefined, never)).rejects.toMatchObject({ code: 'DISK_FULL' });
  });

  it('holds the socket back while the disk is slow', async () => {
    const { digest, pieces } = makeBlob(60);
    const blob = new MemoryBlob(pieces);
    const { fetcher } = await connect('lab-1', { queue: 4 });
    let writing = 0;
    let most = 0;
    blob.beforeWrite = async () => {
      most = Math.max(most, ++writing);
      await new Promise((resolve) => setTimeout(resolve, 3));
      writing -= 1;
    };
    await fetcher.fetch('artifact', digest, blob, 60, () => undefined, never);
    expect(most).toBe(1);
    expect(hub.sent.length).toBe(60);
  });

  it('waits while offline, and stops at once when cancelled', async () => {
    const { digest, pieces } = makeBlob(5);
    const { link, fetcher } = await connect();
    await broker.kill();
    await until('offline', () => link.status.kind !== 'online');
    const abort = new AbortController();
    const done = fetcher.fetch('artifact', digest, new MemoryBlob(pieces), 5, () => undefined, abort.signal);
    abort.abort();
    await expect(done).rejects.toMatchObject({ code: 'ABORTED' });
    const again = fetcher.fetch('artifact', digest, new MemoryBlob(pieces), 5, () => undefined, never);
    await broker.restart();
    await again;
  });
});
