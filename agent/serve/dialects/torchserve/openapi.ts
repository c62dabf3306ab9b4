import type { ServableStatus } from '#agent/inference/contract.js';
import type { HttpRoute } from '../../http/exchange.js';

const ERROR_SCHEMA = {
  type: 'object',
  required: ['code', 'type', 'message'],
  properties: {
    code: { type: 'integer', description: 'Error code.' },
    type: { type: 'string', description: 'Error type.' },
    message: { type: 'string', description: 'Error message.' },
  },
};

const RESPONSES = {
  200: { description: 'OK' },
  500: { description: 'Internal Server Error', content: { 'application/json': { schema: ERROR_SCHEMA } } },
};

/** The routes of the dialect as an OpenAPI document. */
export function apiDocument(routes: readonly Pick<HttpRoute, 'method' | 'path'>[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path } of routes) {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name]) => `${name}_name`.replace('version_name', 'model_version'));
    const template = path
      .replaceAll(':model', '{model_name}')
      .replaceAll(':version', '{model_version}')
      .replaceAll(/:(\w+)/g, '{$1_name}');
    const parameters = names.map((name) => ({ in: 'path', name, required: true, schema: { type: 'string' } }));
    paths[template] = {
      ...paths[template],
      [method.toLowerCase()]: { operationId: `${method} ${template}`, parameters, responses: RESPONSES },
    };
  }
  return document('Skerry, as TorchServe', version, paths);
}

/** How one model is asked for a prediction. */
export function modelApiDocument(
  { model, inputs, outputs }: Pick<ServableStatus, 'model' | 'inputs' | 'outputs'>,
  version: string,
): object {
  const list = (tensors: ServableStatus['inputs']): string =>
    tensors.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(',')}]`).join(', ');
  const post = {
    description: `A predict entry point for model: ${model}. Inputs: ${list(inputs)}. Outputs: ${list(outputs)}.`,
    operationId: model,
    parameters: [],
    responses: RESPONSES,
  };
  return document(`RESTful API for: ${model}`, version, { [`/predictions/${model}`]: { post } });
}

function document(title: string, version: string, paths: object): object {
  return { openapi: '3.0.1', info: { title, version }, paths };
}
