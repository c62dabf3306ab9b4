import { z } from 'zod';
import type { DataPlane, PredictionTarget } from '#agent/inference/contract.js';
import { modelNameSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { METRICS_PER_WINDOW, metricNameSchema } from '#shared/protocol/messages.js';
import { MAX_MAGNITUDE } from '#shared/stats/sketch-mapping.js';
import type { AnswerLog } from './answer-log.js';
import { readBody } from './http/body.js';
import { namedModel } from './named.js';
import { jsonAnswer } from './oip/oip-response.js';
import type { Route } from './http/router.js';
import type { Exchange, Handler } from './http/exchange.js';

/** Where the application's word on answers goes. */
export interface FeedbackSink {
  feedback(target: PredictionTarget, correct: boolean): void;
  /** False when as many other names were reported lately as may be. */
  metric(target: PredictionTarget, name: string, value: number): boolean;
}

export interface FeedbackParts {
  readonly dataPlane: DataPlane;
  readonly feedback: FeedbackSink;
  readonly answers: AnswerLog;
}

/** Metric under which the `value` of a feedback is reported. */
const OUTCOME = 'outcome';

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

/** What the application says of answers and of itself; it is counted by version, and rollouts are judged by it. */
export function feedbackRoutes({ dataPlane, feedback, answers }: FeedbackParts): readonly Route<Handler>[] {
  const onFeedback: Handler = async (exchange) => {
    const { model, version } = namedModel(exchange.params);
    const said = await readJson(feedbackSchema, exchange, 'the feedback');
    const about = version ?? answers.versionOf(model, said);
    if (about === undefined) throw unknownAnswer(model, said);
    const target = requireTarget(dataPlane, model, about);
    if (said.value !== undefined) record(feedback, target, OUTCOME, said.value);
    if (said.correct !== undefined) feedback.feedback(target, said.correct);
    return jsonAnswer({ model, version: target.version });
  };

  const onMetric: Handler = async (exchange) => {
    const said = await readJson(metricSchema, exchange, 'the metric');
    const targets = said.model === undefined ? routedTargets(dataPlane) : [metricTarget(said.model, said)];
    for (const target of targets) record(feedback, target, said.name, said.value);
    return jsonAnswer({ recorded: targets.map(({ model, version }) => ({ model, version })) });
  };

  const metricTarget = (model: ModelName, said: z.infer<typeof metricSchema>): PredictionTarget => {
    const named = said.id !== undefined || said.key !== undefined;
    const version = said.version ?? (named ? answers.versionOf(model, said) : dataPlane.routed(model));
    if (version === undefined && named) throw unknownAnswer(model, said);
    return requireTarget(dataPlane, model, version);
  };

  return [
    { method: 'POST', path: '/v2/models/:model/feedback', handle: onFeedback },
    { method: 'POST', path: '/v2/models/:model/versions/:version/feedback', handle: onFeedback },
    { method: 'POST', path: '/skerry/v1/metrics', handle: onMetric },
  ];
}

function record(sink: FeedbackSink, target: PredictionTarget, metric: string, reported: number): void {
  if (sink.metric(target, metric, reported)) return;
  throw new SkerryError('SERVE_METRIC_LIMIT', `${METRICS_PER_WINDOW} other metrics of ${target.model} were reported in this window`);
}

async function readJson<T>(schema: z.ZodType<T>, exchange: Exchange, what: string): Promise<T> {
  const { bytes } = await readBody(exchange, LIMITS.feedbackBytes);
  return parseJson(schema, bytes, { what, maxBytes: LIMITS.feedbackBytes, code: 'SERVE_REQUEST' });
}

function routedTargets(dataPlane: DataPlane): PredictionTarget[] {
  const models = new Set(dataPlane.list().map(({ model }) => model));
  return [...models].flatMap((model) => {
    const version = dataPlane.routed(model);
    const target = version === undefined ? undefined : targetOf(dataPlane, model, version);
    return target === undefined ? [] : [target];
  });
}

function requireTarget(dataPlane: DataPlane, model: ModelName, version: VersionNumber | undefined): PredictionTarget {
  const target = version === undefined ? undefined : targetOf(dataPlane, model, version);
  if (target !== undefined) return target;
  if (version === undefined) throw new SkerryError('INFERENCE_NOT_READY', `model ${model} has no version in service`);
  throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} is no longer loaded in version ${version}`);
}

/** As predictions name it, so that both are counted together. */
function targetOf(dataPlane: DataPlane, model: ModelName, version: VersionNumber): PredictionTarget | undefined {
  const status = dataPlane.list().find((candidate) => candidate.model === model && candidate.version === version);
  const { variant, provider } = status ?? {};
  if (variant === undefined || provider === undefined) return undefined;
  return { model, version, variant, provider, role: dataPlane.routed(model) === version ? 'serving' : 'candidate' };
}

function unknownAnswer(model: string, { id, key }: { readonly id?: string | undefined; readonly key?: string | undefined }): SkerryError {
  const which =
    id === undefined && key === undefined ? 'no id, no key and no version were given' : 'no answer with this id or key is remembered';
  return new SkerryError('SERVE_FEEDBACK_UNKNOWN', `${which}, so it is not known which version of ${model} is meant`);
}
