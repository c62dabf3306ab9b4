import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { objectAt, optionalStringAt, stringAt } from '../../json/fields.js';
import { readingBody, readPythonJson } from '../../json/python-json.js';
import { namedModel } from '../../named.js';
import { invoke } from './invoke.js';

// The calls of a container for several models: SageMaker loads and unloads them. What can be loaded is what the repository has, by name.

const BODY_BYTES = 64 * 1024;

interface Described {
  readonly modelName: string;
  readonly modelUrl: string;
}

/** Routes of `/models`. */
export function modelRoutes(deps: DialectDeps, infer: Handler): readonly HttpRoute[] {
  return [
    { method: 'GET', path: '/models', call: 'metadata', handle: () => jsonAnswer({ models: loaded(deps).map(described) }) },
    { method: 'POST', path: '/models', call: 'repository', handle: loadHandler(deps) },
    { method: 'GET', path: '/models/:model', call: 'metadata', handle: ({ params }) => jsonAnswer(described(loadedModel(deps, params))) },
    { method: 'DELETE', path: '/models/:model', call: 'repository', handle: unloadHandler(deps) },
    {
      method: 'POST',
      path: '/models/:model/invoke',
      call: 'inference',
      handle: (exchange) => invoke(deps, infer, exchange, namedModel(exchange.params).model),
    },
  ];
}

function loaded({ repository }: DialectDeps): readonly string[] {
  return [...new Set(repository.index().flatMap(({ name, state }) => (state === 'READY' ? [name] : [])))];
}

function loadedModel(deps: DialectDeps, params: Readonly<Record<string, string>>): string {
  const { model } = namedModel(params);
  if (loaded(deps).includes(model)) return model;
  throw unknownModel(model);
}

/** SageMaker puts a model into a folder of its name. */
function described(name: string): Described {
  return { modelName: name, modelUrl: `/opt/ml/models/${name}/model` };
}

function loadHandler(deps: DialectDeps): Handler {
  return async (exchange) => {
    const { bytes } = await exchange.body(BODY_BYTES);
    const document = objectAt(await readingBody(bytes, readPythonJson(bytes, 'the body', 0)), 'the body');
    const name = stringAt(document['model_name'], 'model_name', LIMITS.nameLength);
    const url = optionalStringAt(document['url'], 'url', BODY_BYTES);
    if (url !== undefined && !url.split('/').includes(name)) {
      throw new SkerryError('SERVE_REQUEST', 'url must be a path within the folder of the model in the repository');
    }
    if (loaded(deps).includes(name)) throw new SkerryError('SERVE_MODEL_REGISTERED', `model ${JSON.stringify(name)} is loaded already`);
    await deps.repository.load(name, { files: new Map() });
    return jsonAnswer(described(name));
  };
}

function unloadHandler(deps: DialectDeps): Handler {
  return async ({ params }) => {
    const model = loadedModel(deps, params);
    await deps.repository.unload(model, { dependents: false });
    return jsonAnswer(described(model));
  };
}
