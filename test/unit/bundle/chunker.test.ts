import { createCipheriv } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_SIZES, chunks, type ChunkSizes, cutPoint } from '#shared/bundle/chunker.js';
import { cutArtifact } from '#shared/bundle/cut-artifact.js';
import { digestOf } from '#shared/bundle/digest.js';
import { GEAR } from '#shared/bundle/gear.js';

const GEAR_DIGEST = 'fc92443617f2112db1d281c93016578dbfaed143541f6e3d4e402134c47730cf';
/** Of 1 MiB of random bytes with seed 1, and how it is cut. */
const VECTOR_DIGEST = 'b42e4dfdcce583b23bef98dc213e38d8d74b6b8c6eec21e5859c1186e0f70a88';
const VECTOR_LENGTHS = [
  69168, 24615, 76546, 69001, 68944, 68402, 74770, 78873, 68838, 92580, 24073, 87339, 27130, 41932, 85383, 80291, 10691,
];

const small: ChunkSizes = { min: 64, target: 256, max: 512 };

function randomBytes(length: number, seed = 1): Uint8Array {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));
}

async function cut(source: Iterable<Uint8Array>, sizes?: ChunkSizes): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for await (const chunk of chunks(source, sizes)) found.push(chunk);
  return found;
}

/** Splits bytes into buffers of the given sizes, over and over. */
function* split(data: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < data.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield data.subarray(at, at + size);
    at += size;
  }
}

describe('chunker', () => {
  it('is locked: the same table and the same cuts in every release', async () => {
    expect(digestOf(new Uint8Array(GEAR.buffer.slice(0)))).toBe(GEAR_DIGEST);
    const artifact = await cutArtifact([randomBytes(1024 * 1024)], 'vector');
    expect(artifact.digest).toBe(VECTOR_DIGEST);
    expect(artifact.chunks.map(([, length]) => length)).toEqual(VECTOR_LENGTHS);
  });

  it('keeps to its sizes, with a mean near the target', async () => {
    const lengths = (await cut([randomBytes(16 * 1024 * 1024, 3)])).map((chunk) => chunk.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(CHUNK_SIZES.max);
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThanOrEqual(CHUNK_SIZES.min);
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    expect(mean).toBeGreaterThan(0.75 * CHUNK_SIZES.target);
    expect(mean).toBeLessThan(1.35 * CHUNK_SIZES.target);
    expect(cutPoint(new Uint8Array(10))).toBe(10);
    expect(await cut([])).toEqual([]);
  });

  it('gives chunks that are together the input, wherever the buffers were split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(20_000),
        fc.nat(200),
        fc.array(fc.integer({ min: 1, max: 6_000 }), { minLength: 1, maxLength: 6 }),
        async (length, seed, sizes) => {
          const data = randomBytes(length, seed);
          const found = await cut(split(data, sizes), small);
          expect(Buffer.compare(Buffer.concat(found), data)).toBe(0);
          expect(found.map((chunk) => chunk.length)).toEqual((await cut([data], small)).map((chunk) => chunk.length));
          for (const chunk of found.slice(0, -1)) expect(chunk.length).toBeGreaterThan(small.min);
          for (const chunk of found) expect(chunk.length).toBeLessThanOrEqual(small.max);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('changes only the chunks around an insertion', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(200), fc.nat(59_999), fc.integer({ min: 1, max: 300 }), async (seed, at, inserted) => {
        const data = randomBytes(60_000, seed);
        const changed = Buffer.concat([data.subarray(0, at), randomBytes(inserted, 201), data.subarray(at)]);
        const before = new Set((await cut([data], small)).map((chunk) => digestOf(chunk)));
        const after = (await cut([changed], small)).map((chunk) => digestOf(chunk));
        // About 230 chunks; the cuts fall back into step within a few.
        expect(after.filter((digest) => !before.has(digest)).length).toBeLessThan(25);
      }),
      { numRuns: 40 },
    );
  });

  it('cuts constant data at the maximum', async () => {
    const lengths = (await cut([new Uint8Array(2_000).fill(7)], small)).map((chunk) => chunk.length);
    expect(lengths).toEqual([512, 512, 512, 464]);
  });
});
