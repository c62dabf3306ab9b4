import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { exactElement, isBase64 } from '../../json/exact-elements.js';
import { isObject } from '../../json/fields.js';
import { inputsOfInstances } from '../../json/instances.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { checkExpectedOutputs, tensorAnswer } from '../../json/nested-answer.js';
import { readingBody, readPythonJson } from '../../json/python-json.js';
import { rowPieces } from '../../json/row-answer.js';
import { onlyModel } from '../../only-model.js';
import { requestId } from '../../request-id.js';

/** What Vertex AI asks of a container, at the paths that it chooses; without them there are no routes. It serves one model. */
export const VERTEX: Dialect = {
  name: 'vertex',
  http: (deps) => ({ routes: routes(deps), error: (error) => jsonAnswer({ error: error.message, code: error.code }, error.http) }),
};

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const { health, predict } = deps.vertex;
  const routesOf = (path: string | undefined, route: Omit<HttpRoute, 'path'>): readonly HttpRoute[] =>
    path === undefined ? [] : [{ ...route, path }];
  return [
    ...routesOf(health, { method: 'GET', call: 'health', handle: healthHandler(deps) }),
    ...routesOf(predict, { method: 'POST', call: 'inference', handle: predictHandler(deps) }),
  ];
}

/** 200 while some model answers. */
function healthHandler({ models }: DialectDeps): Handler {
  return () => ({ status: models.list().some(({ state }) => state === 'available') ? 200 : 503, headers: {}, body: [''] });
}

function predictHandler({ models, predict, jsonElements }: DialectDeps): Handler {
  return async (exchange) => {
    const model = onlyModel(models, exchange.query.get('model_name'));
    const { inputs: specs } = models.find(model);
    const { bytes } = await exchange.body();
    const inputs = await readingBody(bytes, readInstances(bytes, specs, jsonElements));
    const { outputs } = await predict({
      model,
      inputs,
      id: requestId(exchange.headers),
      owned: true,
      recipient: exchange,
      expecting: (declared) => checkExpectedOutputs(declared, jsonElements),
    });
    return tensorAnswer(outputs, { headers: { 'content-type': 'application/json' }, jsonElements }, () => {
      // Before the first piece is written: afterwards nothing can be refused.
      const rows = rowPieces(outputs, { base64: (name) => name.endsWith('_bytes'), notFinite: 'null' });
      return predictionsOf(rows);
    });
  };
}

function* predictionsOf(rows: Generator<string, void>): Generator<string, void> {
  yield '{"predictions":';
  yield* rows;
  yield '}';
}

/** `parameters` mean nothing to an ONNX model. */
function* readInstances(bytes: Uint8Array, inputs: readonly TensorSpec[], jsonElements: number): Generator<void, NamedTensors> {
  const document = yield* readPythonJson(bytes, 'the body', jsonElements);
  if (!isObject(document)) throw new SkerryError('SERVE_BODY', 'the body must be a JSON object with "instances"');
  const target = { json: new JsonAllowance(jsonElements), element: exactElement };
  return yield* inputsOfInstances(document['instances'], inputs, target, isBase64);
}
