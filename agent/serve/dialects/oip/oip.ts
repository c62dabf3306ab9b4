import { HEADER_LENGTH_FIELD, KEY_FIELD, parseInferRequest, readKey } from './oip-request.js';
import { modelMetadata, serverMetadata, statisticsDocument } from './oip-documents.js';
import { checkExpected, inferAnswer } from './oip-response.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { errorAnswer, jsonAnswer } from '../../http/json-answer.js';
import { namedModel } from '../../named.js';
import { refusalOf } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';

/** Body up to which a request is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

const MODEL = '/v2/models/:model';
const VERSION = `${MODEL}/versions/:version`;

/** The Open Inference Protocol v2. */
export const OIP: Dialect = { name: 'oip', http: (deps) => ({ routes: routes(deps), error: errorAnswer }) };

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const [infer, metadata, ready] = [inferHandler(deps), metadataHandler(deps), readyHandler(deps)];
  const statistics = statisticsHandler(deps);
  return [
    // Before what a model of this name would answer.
    { method: 'GET', path: '/v2/models/stats', call: 'statistics', handle: () => jsonAnswer(statisticsDocument(deps.models.statistics())) },
    { method: 'POST', path: `${MODEL}/infer`, call: 'inference', handle: infer },
    { method: 'POST', path: `${VERSION}/infer`, call: 'inference', handle: infer },
    { method: 'GET', path: MODEL, call: 'metadata', handle: metadata },
    { method: 'GET', path: VERSION, call: 'metadata', handle: metadata },
    { method: 'GET', path: `${MODEL}/stats`, call: 'statistics', handle: statistics },
    { method: 'GET', path: `${VERSION}/stats`, call: 'statistics', handle: statistics },
    { method: 'GET', path: `${MODEL}/ready`, call: 'health', handle: ready },
    { method: 'GET', path: `${VERSION}/ready`, call: 'health', handle: ready },
    {
      method: 'GET',
      path: '/v2',
      call: 'metadata',
      handle: () => jsonAnswer(serverMetadata(deps.agentVersion)),
    },
    { method: 'GET', path: '/v2/health/live', call: 'health', handle: () => jsonAnswer({ live: true }) },
    { method: 'GET', path: '/v2/health/ready', call: 'health', handle: allReadyHandler(deps) },
  ];
}

function inferHandler({ predict, jsonElements }: DialectDeps): Handler {
  return async (exchange) => {
    const { model, version } = namedModel(exchange.params);
    const { bytes, owned } = await exchange.body();
    const header = exchange.headers[HEADER_LENGTH_FIELD];
    const work = parseInferRequest(bytes, typeof header === 'string' ? header : undefined, jsonElements);
    const parsed = bytes.byteLength > AT_ONCE_BYTES ? await inTurns(work) : atOnce(work);
    const reply = await predict({
      model,
      version,
      inputs: parsed.inputs,
      id: parsed.id,
      key: parsed.key ?? readKey(exchange.headers[KEY_FIELD]),
      outputs: parsed.outputs?.map((output) => output.name),
      timeout: parsed.timeout,
      owned,
      abandoned: () => exchange.abandoned(),
      expecting: (outputs) => checkExpected(parsed, outputs, jsonElements),
    });
    return inferAnswer(parsed, reply, jsonElements);
  };
}

function metadataHandler({ models }: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = namedModel(params);
    const available = models.list().filter((status) => status.model === model && status.state === 'available');
    return jsonAnswer(
      modelMetadata(
        models.find(model, version),
        available.map((status) => status.version),
      ),
    );
  };
}

function statisticsHandler({ models }: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = namedModel(params);
    return jsonAnswer(statisticsDocument(models.statistics(model, version)));
  };
}

function readyHandler({ models }: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = namedModel(params);
    const status = models.find(model, version);
    if (status.state !== 'available') throw refusalOf(status);
    return jsonAnswer({ name: model, ready: true });
  };
}

function allReadyHandler({ models }: DialectDeps): Handler {
  return () => {
    const down = models.list().filter((status) => status.state !== 'available' && models.routed(status.model) === status.version);
    if (down.length === 0) return jsonAnswer({ ready: true });
    throw new SkerryError('INFERENCE_NOT_READY', down.map((status) => `${status.model}@${status.version} is ${status.state}`).join(', '));
  };
}
