import { refusalOf } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { isObject, type JsonObject } from '../../json/fields.js';
import { inputsOfInstances } from '../../json/instances.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { checkExpectedOutputs } from '../../json/nested-answer.js';
import { readingBody, readPythonJson } from '../../json/python-json.js';
import { modelNames } from '../../model-names.js';
import { namedModel } from '../../named.js';
import { requestId } from '../../request-id.js';
import { eventIn } from './cloud-event.js';
import { predictionsAnswer } from './predictions-answer.js';

/** KServe's protocol version 1, with CloudEvents in both of their HTTP modes. */
export const KSERVE_V1: Dialect = {
  name: 'kserve-v1',
  http: (deps) => ({
    routes: routes(deps),
    error: (error) => jsonAnswer({ error: error.message }, error.http, error.http === 503 ? { 'retry-after': '1' } : {}),
  }),
};

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const explain: Handler = () => {
    throw new SkerryError('SERVE_UNSUPPORTED', 'there are no explainers here: a model predicts');
  };
  return [
    // Clients of version 1 ask here whether the server is alive.
    { method: 'GET', path: '/', call: 'health', handle: () => jsonAnswer({ status: 'alive' }) },
    { method: 'GET', path: '/v1/models', call: 'metadata', handle: () => jsonAnswer({ models: modelNames(deps.models) }) },
    { method: 'GET', path: '/v1/models/:model', call: 'health', handle: readyHandler(deps) },
    { method: 'POST', path: '/v1/models/:model:predict', call: 'inference', handle: predictHandler(deps) },
    { method: 'POST', path: '/v1/models/:model:explain', call: 'inference', handle: explain },
  ];
}

function readyHandler({ models }: DialectDeps): Handler {
  return ({ params }) => {
    const { model } = namedModel(params);
    const status = models.find(model);
    if (status.state !== 'available') throw refusalOf(status);
    return jsonAnswer({ name: model, ready: true });
  };
}

function predictHandler({ models, predict, jsonElements }: DialectDeps): Handler {
  return async (exchange) => {
    const { model } = namedModel(exchange.params);
    const { inputs: specs } = models.find(model);
    const { bytes } = await exchange.body();
    const document = await readingBody(bytes, readPythonJson(bytes, 'the body', jsonElements));
    const { data, answered } = eventIn(exchange.headers, document);
    const inputs = await readingBody(bytes, readInputs(data, specs, jsonElements));
    const { outputs } = await predict({
      model,
      inputs,
      id: requestId(exchange.headers),
      owned: true,
      recipient: exchange,
      expecting: (declared) => checkExpectedOutputs(declared, jsonElements),
    });
    return predictionsAnswer(outputs, answered(model), jsonElements);
  };
}

function readInputs(document: unknown, inputs: readonly TensorSpec[], jsonElements: number): Generator<void, NamedTensors> {
  return inputsOfInstances(rowsOf(document), inputs, { json: new JsonAllowance(jsonElements) });
}

/** `inputs` are what `instances` are. */
function rowsOf(document: unknown): unknown {
  const { instances, inputs }: JsonObject = isObject(document) ? document : {};
  if (instances !== undefined) return instances;
  if (inputs !== undefined) return inputs;
  throw new SkerryError('SERVE_REQUEST', 'the body must be a JSON object with "instances"');
}
