import { SkerryError } from '#shared/kernel/errors.js';
import type { Exchange, Handler, HttpRoute } from '../../http/exchange.js';
import { readRegistration, wholeNumber } from './registration-request.js';
import type { TorchserveRegistry } from './registry.js';
import { documentAnswer, statusAnswer } from './torchserve-answer.js';
import { pathModel, versionText } from './versions.js';

const MODELS = '/models';
const MODEL = `${MODELS}/:model`;
const VERSION = `${MODEL}/:version`;

/** Most models in one page, and how many there are when the client does not say. */
const PAGE = 100;

/** TorchServe's management API: what is registered, and changes of it where the repository lets clients make them. */
export function managementRoutes(registry: TorchserveRegistry): readonly HttpRoute[] {
  const [describe, scale, unregister] = [describeHandler(registry), scaleHandler(registry), unregisterHandler(registry)];
  return [
    { method: 'GET', path: MODELS, call: 'metadata', handle: listHandler(registry) },
    { method: 'POST', path: MODELS, call: 'repository', handle: registerHandler(registry) },
    { method: 'GET', path: MODEL, call: 'metadata', handle: describe },
    { method: 'GET', path: VERSION, call: 'metadata', handle: describe },
    { method: 'PUT', path: MODEL, call: 'repository', handle: scale },
    { method: 'PUT', path: VERSION, call: 'repository', handle: scale },
    { method: 'DELETE', path: MODEL, call: 'repository', handle: unregister },
    { method: 'DELETE', path: VERSION, call: 'repository', handle: unregister },
    { method: 'PUT', path: `${VERSION}/set-default`, call: 'repository', handle: defaultHandler(registry) },
  ];
}

/** A page of the list; a limit or token that is no count is the usual one. */
function listHandler(registry: TorchserveRegistry): Handler {
  return ({ query }) => {
    const names = registry.names();
    const limit = Math.min(count(query.get('limit')) || PAGE, PAGE);
    const start = count(query.get('next_page_token'));
    const end = start + limit;
    const models = names.slice(start, end).map((modelName) => ({ modelName, modelUrl: modelName }));
    return documentAnswer(end < names.length ? { nextPageToken: String(end), models } : { models });
  };
}

function count(text: string | null): number {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

function registerHandler(registry: TorchserveRegistry): Handler {
  return async (exchange) => {
    const registration = await readRegistration(exchange);
    const version = await registry.register(registration);
    const name = JSON.stringify(registration.model);
    if (version === undefined) {
      return statusAnswer(`Model ${name} registered with 0 initial workers. Use scale workers API to add workers for the model.`);
    }
    return statusAnswer(`Model ${name} Version: ${versionText(version)} registered with 1 initial workers`);
  };
}

function describeHandler(registry: TorchserveRegistry): Handler {
  return ({ params, query }) => {
    if (query.get('customized') === 'true') {
      throw new SkerryError('SERVE_UNSUPPORTED', 'customized=true: an ONNX model has no handler that describes it');
    }
    const { model, version } = params;
    const all = version === 'all';
    return documentAnswer(registry.describe(pathModel(all ? { model: model ?? '' } : params), all));
  };
}

function scaleHandler(registry: TorchserveRegistry): Handler {
  return async (exchange) => {
    const named = pathModel(exchange.params);
    const workers = await registry.scale(named, wantedWorkers(exchange.query));
    if (exchange.query.get('synchronous') !== 'true') return statusAnswer('Processing worker updates...', 202);
    const version = named.version === undefined ? '' : `, version: ${versionText(named.version)}`;
    return statusAnswer(`Workers scaled to ${workers} for model: ${named.model}${version}`);
  };
}

function wantedWorkers(query: Exchange['query']): { readonly min: number; readonly max: number } {
  const min = wholeNumber('min_worker', query.get('min_worker')) ?? 1;
  const max = wholeNumber('max_worker', query.get('max_worker')) ?? min;
  if (max < min) throw new SkerryError('SERVE_REQUEST', 'max_worker cannot be less than min_worker.');
  return { min, max };
}

function unregisterHandler(registry: TorchserveRegistry): Handler {
  return async ({ params }) => {
    const named = pathModel(params);
    await registry.unregister(named);
    return statusAnswer(`Model ${JSON.stringify(named.model)} unregistered`);
  };
}

function defaultHandler(registry: TorchserveRegistry): Handler {
  return ({ params }) => {
    const named = pathModel(params);
    registry.setDefault(named);
    const version = named.version === undefined ? '' : versionText(named.version);
    return statusAnswer(`Default version successfully updated for model ${JSON.stringify(named.model)} to ${JSON.stringify(version)}`);
  };
}
