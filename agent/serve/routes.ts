import type { DataPlane, ServableStatus } from '#agent/inference/contract.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';
import { readBody } from './http/body.js';
import type { Handler } from './http/exchange.js';
import { AnswerLog } from './answer-log.js';
import { feedbackRoutes, type FeedbackSink } from './feedback-routes.js';
import { namedModel, unknownModel } from './named.js';
import { HEADER_LENGTH_FIELD, KEY_FIELD, parseInferRequest, readKey } from './oip/oip-request.js';
import { inferAnswer, jsonAnswer, modelMetadata } from './oip/oip-response.js';
import type { Route } from './http/router.js';

export interface RouteParts {
  readonly dataPlane: DataPlane;
  readonly feedback: FeedbackSink;
  /** Text of `/metrics` in Prometheus' exposition format. */
  readonly metricsText: () => string | Promise<string>;
  /** Document of `/skerry/v1/status`. */
  readonly status: () => unknown;
  readonly agentVersion: string;
  readonly bodyLimit: number;
  /** Tensor elements that a request or an answer may carry as JSON. */
  readonly jsonElements: number;
}

/** Body up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

const MODEL = '/v2/models/:model';
const VERSION = `${MODEL}/versions/:version`;

/** The local API as a table: the Open Inference Protocol v2, and what a device says about itself. */
export function localRoutes(parts: RouteParts): readonly Route<Handler>[] {
  const { dataPlane, feedback } = parts;
  const answers = new AnswerLog();

  const infer: Handler = async ({ request, response, params }) => {
    const { model, version } = namedModel(params);
    const { bytes, owned } = await readBody({ request, response }, parts.bodyLimit);
    const header = request.headers[HEADER_LENGTH_FIELD];
    const work = parseInferRequest(bytes, typeof header === 'string' ? header : undefined, parts.jsonElements);
    const parsed = bytes.byteLength > AT_ONCE_BYTES ? await inTurns(work) : atOnce(work);
    const key = parsed.key ?? readKey(request.headers[KEY_FIELD]);
    const reply = await dataPlane.infer({
      model,
      inputs: parsed.inputs,
      ...(key === undefined ? {} : { key }),
      owned,
      abandoned: () => response.destroyed,
      ...(version === undefined ? {} : { version }),
      ...(parsed.outputs === undefined ? {} : { outputs: parsed.outputs.map((output) => output.name) }),
      ...(parsed.timeout === undefined ? {} : { timeout: parsed.timeout }),
    });
    answers.answered(model, reply.version, { id: parsed.id, key });
    return inferAnswer(parsed, reply, parts.jsonElements);
  };

  const metadata: Handler = ({ params }) => {
    const { model, version } = namedModel(params);
    const versions = loaded(dataPlane, model).flatMap((status) => (status.state === 'available' ? [status.version] : []));
    return jsonAnswer(modelMetadata(find(dataPlane, model, version), versions));
  };

  const ready: Handler = ({ params }) => {
    const { model, version } = namedModel(params);
    const status = find(dataPlane, model, version);
    if (status.state !== 'available') throw notServing(status);
    return jsonAnswer({ name: model, ready: true });
  };

  return [
    { method: 'POST', path: `${MODEL}/infer`, handle: infer },
    { method: 'POST', path: `${VERSION}/infer`, handle: infer },
    { method: 'GET', path: MODEL, handle: metadata },
    { method: 'GET', path: VERSION, handle: metadata },
    { method: 'GET', path: `${MODEL}/ready`, handle: ready },
    { method: 'GET', path: `${VERSION}/ready`, handle: ready },
    {
      method: 'GET',
      path: '/v2',
      handle: () => jsonAnswer({ name: 'skerry', version: parts.agentVersion, extensions: ['binary_tensor_data'] }),
    },
    { method: 'GET', path: '/v2/health/live', handle: () => jsonAnswer({ live: true }) },
    {
      method: 'GET',
      path: '/v2/health/ready',
      handle: () => {
        const down = dataPlane.list().filter((status) => status.state !== 'available' && dataPlane.routed(status.model) === status.version);
        if (down.length > 0) throw notReady(down.map((status) => `${status.model}@${status.version} is ${status.state}`).join(', '));
        return jsonAnswer({ ready: true });
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      handle: async () => ({
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: [await parts.metricsText()],
      }),
    },
    { method: 'GET', path: '/skerry/v1/status', handle: async () => jsonAnswer(await parts.status()) },
    ...feedbackRoutes({ dataPlane, feedback, answers }),
  ];
}

function loaded(dataPlane: DataPlane, model: ModelName): readonly ServableStatus[] {
  return dataPlane.list().filter((status) => status.model === model);
}

function find(dataPlane: DataPlane, model: ModelName, version: VersionNumber | undefined): ServableStatus {
  const statuses = loaded(dataPlane, model);
  if (statuses.length === 0) throw unknownModel(model);
  const wanted = version ?? dataPlane.routed(model);
  const status = statuses.find((candidate) => candidate.version === wanted);
  if (status !== undefined) return status;
  const [first] = statuses;
  if (wanted === undefined && first !== undefined && statuses.every(({ state }) => state === 'failed')) throw notServing(first);
  if (wanted === undefined) throw notReady(`model ${model} has no version in service yet`);
  const versions = statuses.map((candidate) => candidate.version).join(', ');
  throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} is not loaded in version ${wanted}, but in ${versions}`);
}

/** Why a version takes no requests: whether waiting helps depends on that. */
function notServing({ model, version, state, error }: ServableStatus): SkerryError {
  if (state !== 'failed') return notReady(`${model}@${version} is ${state}`);
  return new SkerryError('INFERENCE_SERVABLE_FAILED', `${model}@${version} failed: ${error?.message ?? 'the log says why'}`);
}

function notReady(message: string): SkerryError {
  return new SkerryError('INFERENCE_NOT_READY', message);
}
