import { z } from 'zod';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { openObject } from '#shared/kernel/open-object.js';
import { viewShape } from '#shared/signals/view-schema.js';

// What the API says about measurements and events; routes declare it, clients check by it.

/** What one version did, merged over devices and time. */
const versionMetricsSchema = z.object({
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
  signals: openObject(viewShape()).meta({
    description: 'Sums of the other signals, in their units; left out when no device measured any. Quantiles are within 1 %.',
  }),
  /** First and last moment that is in these figures. */
  from: z.iso.datetime(),
  to: z.iso.datetime(),
});
export type VersionMetrics = z.infer<typeof versionMetricsSchema>;

export const modelMetricsSchema = z.object({ model: modelNameSchema, since: z.iso.datetime(), versions: z.array(versionMetricsSchema) });

/** A device event as it was stored. */
const storedEventSchema = z.object({
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
