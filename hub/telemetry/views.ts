import { z } from 'zod';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';

// What the API says about measurements and events; routes declare it, clients check by it.

const quantilesSchema = z.object({
  count: z.int(),
  p50: z.number().nullable(),
  p95: z.number().nullable(),
  p99: z.number().nullable(),
  max: z.number().nullable(),
});
export type Quantiles = z.infer<typeof quantilesSchema>;

/** What one version did, merged over devices and time; latencies in milliseconds, each within 1 %. */
export const versionMetricsSchema = z.object({
  version: versionNumberSchema,
  /** Answered, failed and refused ones. */
  predictions: z.int(),
  /** Failed and refused ones by code; the code's fault is `caller` for what its caller did wrong. */
  errors: z.array(z.object({ code: z.string(), fault: z.string().optional(), count: z.int(), rate: z.number() })),
  errorRate: z
    .number()
    .meta({ description: 'Failed predictions of those not refused for what their callers sent; 0 when there were none.' }),
  refused: z
    .object({ count: z.int(), rate: z.number() })
    .optional()
    .meta({ description: 'Requests refused for what their callers sent; they do not count against the version.' }),
  latencyMs: z.object({ queue: quantilesSchema, compute: quantilesSchema, total: quantilesSchema }),
  /** Unexpected ends of workers and agents; the rest is left out when no device said anything of it. */
  crashes: z.int().optional(),
  /** Golden samples devices ran again, and those that gave other answers. */
  golden: z.object({ run: z.int(), wrong: z.int() }).optional(),
  feedback: z.object({ total: z.int(), wrong: z.int() }).optional(),
  /** Answers given only for comparison with the version that served. */
  shadow: z
    .object({ compared: z.int(), disagreed: z.int(), dropped: z.int(), maxError: z.number().nullable(), costMs: quantilesSchema })
    .optional(),
  /** Numbers the application reported. */
  metrics: z.record(z.string(), quantilesSchema).optional(),
  /** First and last moment that is in these figures. */
  from: z.iso.datetime(),
  to: z.iso.datetime(),
});
export type VersionMetrics = z.infer<typeof versionMetricsSchema>;

export const modelMetricsSchema = z.object({ model: modelNameSchema, since: z.iso.datetime(), versions: z.array(versionMetricsSchema) });

/** A device event as it was stored. */
export const storedEventSchema = z.object({
  id: z.int(),
  device: z.string(),
  boot: z.int(),
  seq: z.int(),
  /** By the device's clock. */
  at: z.iso.datetime(),
  receivedAt: z.iso.datetime(),
  kind: z.string(),
  model: z.string().nullable(),
  version: z.int().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  detail: z.record(z.string(), z.unknown()).nullable(),
});
export type StoredEvent = z.infer<typeof storedEventSchema>;

export const eventListSchema = z.object({ events: z.array(storedEventSchema) });
