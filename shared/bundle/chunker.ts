import { LIMITS } from '#shared/kernel/limits.js';
import { GEAR } from './gear.js';

export interface ChunkSizes {
  readonly min: number;
  /** A power of two. */
  readonly target: number;
  readonly max: number;
}

export const CHUNK_SIZES: ChunkSizes = { min: LIMITS.chunkMinBytes, target: LIMITS.chunkTargetBytes, max: LIMITS.chunkMaxBytes };

/** Normalization level 2 of the paper: two bits more than the target asks before it, two fewer after. */
const NORMALIZATION_BITS = 2;
const BUFFER_CHUNKS = 8;

/**
 * Length of the first chunk of `data`, of which `data.length` bytes are at hand: all of them when they are at most the
 * minimum. To be independent of how a stream was split, call it with at least `sizes.max` bytes unless the stream ends.
 *
 * FastCDC with normalized chunking and cut-point skipping: W. Xia et al., "FastCDC: a Fast and Efficient Content-Defined
 * Chunking Approach for Data Deduplication", USENIX ATC 2016, algorithm 1. The hash here has 32 bits, not 64, since that is
 * what JavaScript adds fast; the masks take its top bits, which depend on the last 32 bytes, as the paper's spread masks do on 48.
 */
export function cutPoint(data: Uint8Array, sizes: ChunkSizes = CHUNK_SIZES): number {
  const end = Math.min(data.length, sizes.max);
  if (end <= sizes.min) return end;
  const bits = Math.log2(sizes.target);
  const strict = topBits(bits + NORMALIZATION_BITS);
  const loose = topBits(bits - NORMALIZATION_BITS);
  const normal = Math.min(sizes.target, end);
  let hash = 0;
  let at = sizes.min;
  for (; at < normal; at++) {
    hash = ((hash << 1) + (GEAR[data[at] ?? 0] ?? 0)) | 0;
    if ((hash & strict) === 0) return at + 1;
  }
  for (; at < end; at++) {
    hash = ((hash << 1) + (GEAR[data[at] ?? 0] ?? 0)) | 0;
    if ((hash & loose) === 0) return at + 1;
  }
  return end;
}

function topBits(count: number): number {
  return -1 << (32 - count);
}

/**
 * Cuts a stream into content-defined chunks, in order; together they are the stream. Each chunk is a copy of its own.
 * Holds at most a megabyte however long the stream is, beside the buffer it was last given.
 */
export async function* chunks(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  sizes: ChunkSizes = CHUNK_SIZES,
): AsyncGenerator<Uint8Array> {
  const window = new Uint8Array(sizes.max * BUFFER_CHUNKS);
  let begin = 0;
  let end = 0;
  for await (const buffer of source) {
    let taken = 0;
    while (taken < buffer.length) {
      const part = buffer.subarray(taken, taken + window.length - end);
      window.set(part, end);
      taken += part.length;
      end += part.length;
      while (end - begin >= sizes.max) {
        const length = cutPoint(window.subarray(begin, end), sizes);
        yield window.slice(begin, begin + length);
        begin += length;
      }
      if (end === window.length) {
        window.copyWithin(0, begin, end);
        end -= begin;
        begin = 0;
      }
    }
  }
  while (begin < end) {
    const length = cutPoint(window.subarray(begin, end), sizes);
    yield window.slice(begin, begin + length);
    begin += length;
  }
}
