import { FEATURES } from '#shared/bundle/features.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import type { DeviceEvent, Presence, Reported, Telemetry } from '#shared/protocol/messages.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

// Valid messages of a device with the least to say, for tests to change what they are about.

export const CAPABILITIES = {
  os: 'linux',
  arch: 'x64',
  cpus: 2,
  memoryBytes: 1 << 30,
  providers: ['cpu'],
  runtime: { name: 'onnxruntime-node', version: '1.30.0' },
  features: [...FEATURES],
};

export function sketchOf(values: readonly number[]): Uint8Array {
  const sketch = new QuantileSketch();
  for (const value of values) sketch.add(value);
  return sketch.encode();
}

export interface TelemetryOptions {
  readonly seq: number;
  readonly boot?: number;
  readonly model?: string;
  readonly version?: number;
  readonly to?: number;
  /** Total latencies, milliseconds; as many predictions as values. */
  readonly values: readonly number[];
  readonly errors?: Readonly<Record<string, number>>;
}

export function telemetryOf(device: string, options: TelemetryOptions): Telemetry {
  const to = options.to ?? Date.now();
  const sketch = sketchOf(options.values);
  return {
    device: deviceIdSchema.parse(device),
    boot: options.boot ?? 1,
    seq: options.seq,
    from: to - 10_000,
    to,
    windows: [
      {
        model: modelNameSchema.parse(options.model ?? 'vad'),
        version: versionNumberSchema.parse(options.version ?? 1),
        variant: 'fp32',
        provider: 'cpu',
        predictions: options.values.length,
        errors: options.errors ?? {},
        queue: sketch,
        compute: sketch,
        total: sketch,
      },
    ],
    health: { rssBytes: 1, cpuSeconds: 1, freeMemoryBytes: 1, diskUsedBytes: 1, uptimeSeconds: 1, loopDelayP99Ms: 1 },
  };
}

export function eventOf(device: string, seq: number, rest: Partial<DeviceEvent> = {}): DeviceEvent {
  return { device: deviceIdSchema.parse(device), boot: 1, seq, at: new Date().toISOString(), kind: 'agent.started', ...rest };
}

export function presenceOf(device: string, rest: Partial<Presence> = {}): Presence {
  return {
    device: deviceIdSchema.parse(device),
    session: 'session-1',
    boot: 1,
    connection: 1,
    state: 'online',
    at: new Date().toISOString(),
    ...rest,
  };
}

export function reportedOf(device: string, rest: Partial<Reported> = {}): Reported {
  return {
    device: deviceIdSchema.parse(device),
    at: new Date().toISOString(),
    boot: 1,
    agentVersion: '0.1.0',
    labels: {},
    capabilities: CAPABILITIES,
    desired: { counter: 0 },
    trust: { root: 1, timestamp: 1, snapshot: 1 },
    clock: { trusted: true },
    models: [],
    outbox: { records: 0, bytes: 0, dropped: 0, coarsened: 0 },
    disk: { usedBytes: 0, budgetBytes: 1 },
    ...rest,
  };
}
