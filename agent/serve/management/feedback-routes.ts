import { z } from 'zod';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { metricNameSchema } from '#shared/signals/rows.js';
import { MAX_MAGNITUDE } from '#shared/stats/sketch-mapping.js';
import type { Feedback } from '../feedback.js';
import type { Exchange, Handler, HttpRoute } from '../http/exchange.js';
import { jsonAnswer } from '../http/json-answer.js';
import { namedModel } from '../named.js';

const name = z.string().min(1).max(LIMITS.nameLength);
const value = z.number().min(-MAX_MAGNITUDE).max(MAX_MAGNITUDE);
const feedbackSchema = z
  .strictObject({ id: name.optional(), key: name.optional(), correct: z.boolean().optional(), value: value.optional() })
  .refine(({ correct, value: outcome }) => correct !== undefined || outcome !== undefined, 'needs "correct" or "value"');
const metricSchema = z.strictObject({
  name: metricNameSchema,
  value,
  /** Every model in service when left out. */
  model: modelNameSchema.optional(),
  /** The version in service when left out, or the one that answered the request with this id or key. */
  version: versionNumberSchema.optional(),
  id: name.optional(),
  key: name.optional(),
});

/** Routes on which the application tells how answers turned out, and numbers of its own. */
export function feedbackRoutes(feedback: Feedback): readonly HttpRoute[] {
  const onFeedback: Handler = async (exchange) => {
    const { model, version } = namedModel(exchange.params);
    const said = await readJson(feedbackSchema, exchange, 'the feedback');
    return jsonAnswer({ model, version: feedback.judged(model, version, said, said).version });
  };
  const onMetric: Handler = async (exchange) => {
    const said = await readJson(metricSchema, exchange, 'the metric');
    const targets = feedback.measured(said.name, said.value, said);
    return jsonAnswer({ recorded: targets.map(({ model, version }) => ({ model, version })) });
  };
  return [
    { method: 'POST', path: '/v2/models/:model/feedback', call: 'feedback', handle: onFeedback },
    { method: 'POST', path: '/v2/models/:model/versions/:version/feedback', call: 'feedback', handle: onFeedback },
    { method: 'POST', path: '/skerry/v1/metrics', call: 'feedback', handle: onMetric },
  ];
}

async function readJson<T>(schema: z.ZodType<T>, exchange: Exchange, what: string): Promise<T> {
  const { bytes } = await exchange.body(LIMITS.feedbackBytes);
  return parseJson(schema, bytes, { what, maxBytes: LIMITS.feedbackBytes, code: 'SERVE_REQUEST' });
}
