import { z } from 'zod';
import type { Db } from '#hub/store/database.js';
import { listEvents } from '#hub/telemetry/events-query.js';
import type { MetricsQuery } from '#hub/telemetry/metrics-query.js';
import { eventListSchema, modelMetricsSchema } from '#hub/telemetry/views.js';
import { modelNameSchema } from '#shared/bundle/names.js';
import { hours, parseTimestamp } from '#shared/kernel/time.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { EVENT_KINDS } from '#shared/protocol/messages.js';
import { defineRoute } from '../define-route.js';
import type { Route } from '../route.js';

/** A moment as RFC 3339 text; milliseconds since the epoch behind the schema. */
const moment = z.string().transform((text, context) => {
  const at = parseTimestamp(text);
  if (at !== undefined) return at;
  context.addIssue({ code: 'custom', message: 'a date and time with its zone, as RFC 3339 writes it' });
  return z.NEVER;
});

const metricsQuery = z.strictObject({ since: moment.optional(), until: moment.optional(), device: deviceIdSchema.optional() });
const eventsQuery = z.strictObject({
  device: deviceIdSchema.optional(),
  model: modelNameSchema.optional(),
  version: z.coerce.number().int().min(1).optional(),
  kind: z.enum(EVENT_KINDS).optional(),
  code: z.string().max(64).optional(),
  since: moment.optional(),
  before: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

/** What the devices reported. */
export function telemetryRoutes(db: Db, metrics: MetricsQuery, now: () => number): readonly Route[] {
  return [
    defineRoute({
      method: 'GET',
      url: '/api/v1/metrics/models/:model',
      id: 'getModelMetrics',
      tag: 'telemetry',
      summary: 'Predictions, failures and latencies of a model by version, merged over the fleet',
      description:
        '`since` is one hour ago when left out. `device` narrows it to one device. A model nobody reported on has no versions here.',
      access: 'telemetry:read',
      params: z.strictObject({ model: modelNameSchema }),
      query: metricsQuery,
      answer: modelMetricsSchema,
      handler: async ({ params, query }) => {
        const since = query.since ?? now() - hours(1);
        const versions = await metrics.model(params.model, { since, until: query.until, device: query.device });
        return { model: params.model, since: new Date(since).toISOString(), versions };
      },
    }),
    defineRoute({
      method: 'GET',
      url: '/api/v1/events',
      id: 'listEvents',
      tag: 'telemetry',
      summary: 'What happened on the devices, newest first',
      description: '`before` continues a list from the smallest id of the last page.',
      access: 'event:read',
      query: eventsQuery,
      answer: eventListSchema,
      handler: async ({ query }) => ({ events: await listEvents(db, query) }),
    }),
  ];
}
