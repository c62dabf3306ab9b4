import { randomUUID } from 'node:crypto';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { checkExpectedOutputs, nestedAnswer } from '../../json/nested-answer.js';
import { readingBody } from '../../json/python-json.js';
import { requestId } from '../../request-id.js';
import { readInputs } from './inputs.js';
import { managementRoutes } from './management-routes.js';
import { apiDocument, modelApiDocument } from './openapi.js';
import { TorchserveRegistry } from './registry.js';
import { answerHeaders, documentAnswer, torchserveError } from './torchserve-answer.js';
import { pathModel } from './versions.js';

/** TorchServe's inference and management APIs. */
export const TORCHSERVE: Dialect = { name: 'torchserve', http: (deps) => ({ routes: routes(deps), error: torchserveError }) };

const MODEL = '/predictions/:model';
const VERSION = `${MODEL}/:version`;

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const registry = new TorchserveRegistry(deps);
  const predict = predictionHandler(deps, registry);
  const table: readonly HttpRoute[] = [
    { method: 'GET', path: '/ping', call: 'health', handle: pingHandler(deps) },
    { method: 'POST', path: MODEL, call: 'inference', handle: predict },
    { method: 'PUT', path: MODEL, call: 'inference', handle: predict },
    { method: 'POST', path: VERSION, call: 'inference', handle: predict },
    { method: 'PUT', path: VERSION, call: 'inference', handle: predict },
    { method: 'OPTIONS', path: MODEL, call: 'metadata', handle: describeHandler(deps) },
    ...managementRoutes(registry),
    ...UNSUPPORTED.map(([method, path, what]): HttpRoute => ({ method, path, call: 'metadata', handle: () => refuse(what) })),
  ];
  const describe: Handler = () => documentAnswer(apiDocument(all, deps.agentVersion));
  const all: readonly HttpRoute[] = [
    { method: 'OPTIONS', path: '/', call: 'metadata', handle: describe },
    { method: 'GET', path: '/api-description', call: 'metadata', handle: describe },
    ...table,
  ];
  return all;
}

/** What TorchServe has and an ONNX model has not. */
const UNSUPPORTED: readonly (readonly [HttpRoute['method'], string, string])[] = [
  ['POST', '/explanations/:model', 'explanations: an ONNX model only predicts'],
  ['POST', '/explanations/:model/:version', 'explanations: an ONNX model only predicts'],
  ['POST', '/wfpredict/:workflow', 'workflows'],
  ['GET', '/workflows', 'workflows'],
  ['POST', '/workflows', 'workflows'],
];

function refuse(what: string): never {
  throw new SkerryError('SERVE_UNSUPPORTED', `not supported: ${what}`);
}

/** 200 while every model that should answer does. */
function pingHandler({ models }: DialectDeps): Handler {
  return () => {
    const down = models.list().some(({ model, version, state }) => state !== 'available' && models.routed(model) === version);
    return documentAnswer({ status: down ? 'Unhealthy' : 'Healthy' }, down ? 500 : 200);
  };
}

function describeHandler({ models, agentVersion }: DialectDeps): Handler {
  return ({ params }) => documentAnswer(modelApiDocument(models.find(pathModel(params).model), agentVersion));
}

function predictionHandler({ models, predict, jsonElements }: DialectDeps, registry: TorchserveRegistry): Handler {
  return async (exchange) => {
    const { model, version } = pathModel(exchange.params);
    registry.checkWorkers(model);
    const { inputs: specs } = models.find(model, version);
    const { bytes } = await exchange.body();
    const target = { inputs: specs, jsonElements };
    const inputs = await readingBody(bytes, readInputs(exchange.headers['content-type'], bytes, target));
    const id = requestId(exchange.headers) ?? randomUUID();
    const { outputs } = await predict({
      model,
      version,
      inputs,
      id,
      recipient: exchange,
      expecting: (declared) => checkExpectedOutputs(declared, jsonElements),
    });
    return nestedAnswer(outputs, { indent: 2, headers: answerHeaders(id), jsonElements });
  };
}
