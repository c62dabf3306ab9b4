import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bitIndices, bitmapFromBase64 } from '#shared/bundle/bitmap.js';
import { digestOf } from '#shared/bundle/digest.js';
import type { ModelManifest as Manifest } from '#shared/bundle/model-manifest.js';
import { fetchSchema } from '#shared/protocol/messages.js';
import { parseTopic } from '#shared/protocol/topics.js';
import { writeInflatedModel } from '../kit/onnx-models.js';
import { type TappedMessage, tapMqtt } from '../kit/mqtt-tap.js';
import { until } from '../kit/until.js';
import type { Device } from './device.js';
import { World } from './world.js';

const MEGABYTES = 16;
/** Slow enough to be cut in the middle, wherever the machine is. */
const BYTES_PER_SECOND = 4 * 1024 * 1024;

describe('a download that is cut goes on where it stopped', () => {
  let world: World;
  let artifact: Manifest['artifacts'][number];

  beforeAll(async () => {
    world = await World.start();
    const file = path.join(world.folder, 'large.onnx');
    await writeInflatedModel(file, { megabytes: MEGABYTES, scale: 3 });
    await world.publish('large', 1, file, ['--samples', '1']);
    const { document: manifest } = (await world.fleet.api('/models/large/versions/1')) as { document: Manifest };
    const found = manifest.artifacts.find(({ digest }) => digest === manifest.variants[0]?.artifact);
    if (found === undefined) throw new Error('the version has no model file');
    artifact = found;
  });
  afterAll(() => world.close());

  it('is cut by kill -9 of hub and broker: no chunk the device took is sent again', async () => {
    const device = await world.enrol('cut-1');
    const seen = tapMqtt(device.cable);
    device.cable.throttle(BYTES_PER_SECOND);
    await device.start();
    await world.deploy('large@1');
    await until('a third of the model', () => piecesIn(seen, artifact.digest).size > artifact.chunks.length / 3);
    await world.killHub();
    await until('the device to notice', async () => (await device.status()).link.kind !== 'online');
    const before = piecesIn(seen, artifact.digest);
    const cutAt = seen.length;
    expect(before.size).toBeLessThan(artifact.chunks.length);

    device.cable.throttle(Number.POSITIVE_INFINITY);
    await world.fleet.startHub();
    expect((await device.answeredBy('large', 1)).y).toEqual([3, 6, 9, 12]);
    const asked = piecesAsked(seen.slice(cutAt), artifact);
    const after = piecesIn(seen.slice(cutAt), artifact.digest);
    expect(intersection(asked, before)).toEqual([]);
    expect(intersection(after, before)).toEqual([]);
    expect(before.size + after.size).toBe(artifact.chunks.length);
    await device.kill();
  });

  it('is cut by kill -9 of the agent: exactly what is not on its disk is asked for', async () => {
    const device = await world.enrol('cut-2');
    const seen = tapMqtt(device.cable);
    device.cable.throttle(BYTES_PER_SECOND);
    await device.start();
    await until('a third of the model', () => piecesIn(seen, artifact.digest).size > artifact.chunks.length / 3);
    await device.kill();
    const whole = await piecesOnDisk(device, artifact);
    const cutAt = seen.length;
    expect(whole.size).toBeGreaterThan(artifact.chunks.length / 4);
    expect(whole.size).toBeLessThan(artifact.chunks.length);

    device.cable.throttle(Number.POSITIVE_INFINITY);
    await device.start();
    expect((await device.answeredBy('large', 1)).y).toEqual([3, 6, 9, 12]);
    const after = seen.slice(cutAt);
    expect([...piecesAsked(after, artifact)].toSorted(byNumber)).toEqual(others(whole, artifact.chunks.length));
    expect(piecesIn(after, artifact.digest).size).toBe(artifact.chunks.length - whole.size);
    // And each came once.
    expect(after.filter((message) => pieceOf(message, artifact.digest) !== undefined)).toHaveLength(artifact.chunks.length - whole.size);
    await device.kill();
  });
});

function pieceOf({ from, topic }: TappedMessage, digest: string): number | undefined {
  const parsed = parseTopic(topic);
  return from === 'target' && parsed?.kind === 'blob' && parsed.digest === digest ? parsed.index : undefined;
}

/** Chunks of a file that were delivered whole. */
function piecesIn(messages: readonly TappedMessage[], digest: string): ReadonlySet<number> {
  return new Set(messages.map((message) => pieceOf(message, digest)).filter((index) => index !== undefined));
}

/** Chunks the device asked for. */
function piecesAsked(messages: readonly TappedMessage[], { digest, chunks }: Manifest['artifacts'][number]): ReadonlySet<number> {
  const requests = messages
    .filter(({ from, topic }) => from === 'client' && topic.endsWith('/fetch'))
    .map(({ payload }) => fetchSchema.parse(JSON.parse(payload.toString())))
    .filter((request) => request.digest === digest);
  return new Set(requests.flatMap(({ missing }) => [...bitIndices(bitmapFromBase64(missing, chunks.length) ?? new Uint8Array())]));
}

/** Chunks of the unfinished file whose bytes are there and right. */
async function piecesOnDisk(device: Device, { digest, chunks }: Manifest['artifacts'][number]): Promise<ReadonlySet<number>> {
  const bytes = await readFile(path.join(device.data, 'store', 'blobs', `${digest}.partial`));
  const whole = new Set<number>();
  let offset = 0;
  for (const [index, [chunk, length]] of chunks.entries()) {
    if (digestOf(bytes.subarray(offset, offset + length)) === chunk) whole.add(index);
    offset += length;
  }
  return whole;
}

function intersection(a: ReadonlySet<number>, b: ReadonlySet<number>): readonly number[] {
  return [...a].filter((item) => b.has(item));
}

function others(some: ReadonlySet<number>, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index).filter((index) => !some.has(index));
}

function byNumber(a: number, b: number): number {
  return a - b;
}
