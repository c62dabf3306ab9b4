import { createHash } from 'node:crypto';
import type { Telemetry } from '#shared/protocol/messages.js';
import { modelNameSchema, versionNumberSchema, digestSchema, type Digest } from '#shared/bundle/names.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { systemClock } from '#shared/kernel/clock.js';
import type { BlobPlan } from '#agent/store/contract.js';
import { DEFAULT_STORE_LIMITS, type StoreLimits } from '#agent/store/limits.js';
import { type AgentStore, openAgentStore } from '#agent/store/open.js';

export const DEVICE = deviceIdSchema.parse('device-1');

/** The real store, in a thread, without a reserve on the disk. */
export function openStore(folder: string, limits: Partial<StoreLimits> = {}): Promise<AgentStore> {
  return openAgentStore({
    folder,
    limits: { ...DEFAULT_STORE_LIMITS, diskReserveBytes: 0, ...limits },
    clock: systemClock,
  });
}

export function digestOfBytes(bytes: Uint8Array): Digest {
  return digestSchema.parse(createHash('sha256').update(bytes).digest('hex'));
}

/** Telemetry of one minute with one window for each latency list. */
export function telemetryOf(minute: number, latencies: Readonly<Record<string, readonly number[]>>): Omit<Telemetry, 'boot' | 'seq'> {
  return {
    device: DEVICE,
    from: minute * 60_000,
    to: (minute + 1) * 60_000,
    windows: Object.entries(latencies).map(([variant, values]) => {
      const sketch = new QuantileSketch();
      for (const value of values) sketch.add(value);
      return {
        model: modelNameSchema.parse('vad'),
        version: versionNumberSchema.parse(1),
        variant,
        provider: 'cpu',
        predictions: values.length,
        errors: { TIMEOUT: 1 },
        queue: sketch.encode(),
        compute: sketch.encode(),
        total: sketch.encode(),
      };
    }),
    health: { rssBytes: 1, cpuSeconds: minute, freeMemoryBytes: 1, diskUsedBytes: 1, uptimeSeconds: minute, loopDelayP99Ms: 1 },
  };
}

/** Cuts bytes into pieces of `size` and plans their download. */
export function planOf(bytes: Uint8Array, size: number, options: { pieceDigests?: boolean; reuse?: BlobPlan['reuse'] } = {}): BlobPlan {
  const pieces = piecesOf(bytes, size);
  return {
    digest: digestOfBytes(bytes),
    length: bytes.byteLength,
    pieces: pieces.map((piece) => ({
      length: piece.byteLength,
      ...(options.pieceDigests === false ? {} : { digest: digestOfBytes(piece) }),
    })),
    reuse: options.reuse ?? [],
  };
}

export function piecesOf(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
}

/** Bytes that look random and are the same every time. */
export function bytesFrom(seed: string, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0, n = 0; at < length; n += 1) {
    const block = createHash('sha256').update(`${seed}/${n}`).digest();
    out.set(block.subarray(0, Math.min(block.byteLength, length - at)), at);
    at += block.byteLength;
  }
  return out;
}
