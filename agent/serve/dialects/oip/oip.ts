import { refusalOf } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { errorAnswer, jsonAnswer } from '../../http/json-answer.js';
import { namedModel } from '../../named.js';
import { modelMetadata, serverMetadata, statisticsDocument } from './oip-documents.js';
import { inferHandler } from './oip-infer.js';
import { repositoryRoutes } from './oip-repository.js';
import { settingsRoutes } from './oip-settings.js';
import { sharedMemoryRoutes } from './oip-shared-memory.js';

const MODEL = '/v2/models/:model';

/** The Open Inference Protocol v2, with Triton's extensions. */
export const OIP: Dialect = {
  name: 'oip',
  http: (deps) => ({ routes: routes(deps), error: errorAnswer }),
  grpc: async () => (await import('./grpc/oip-grpc.js')).oipGrpc,
};

function routes(deps: DialectDeps): readonly HttpRoute[] {
  const server = jsonAnswer(serverMetadata(deps.agentVersion));
  return [
    // Before what a model of this name would answer.
    { method: 'GET', path: '/v2/models/stats', call: 'statistics', handle: () => jsonAnswer(statisticsDocument(deps.models.statistics())) },
    ...ofModel('POST', '/infer', 'inference', inferHandler(deps)),
    ...ofModel('GET', '', 'metadata', metadataHandler(deps)),
    ...ofModel('GET', '/config', 'metadata', configHandler(deps)),
    ...ofModel('GET', '/stats', 'statistics', statisticsHandler(deps)),
    ...ofModel('GET', '/ready', 'health', readyHandler(deps)),
    { method: 'GET', path: '/v2', call: 'metadata', handle: () => server },
    // Clients of KServe read the body; those of Triton read the status alone.
    { method: 'GET', path: '/v2/health/live', call: 'health', handle: () => jsonAnswer({ live: true }) },
    { method: 'GET', path: '/v2/health/ready', call: 'health', handle: allReadyHandler(deps) },
    ...repositoryRoutes(deps),
    ...settingsRoutes(deps),
    ...sharedMemoryRoutes(deps),
  ];
}

/** A route for the version in service, and one for a version that is named. */
function ofModel(method: HttpRoute['method'], rest: string, call: HttpRoute['call'], handle: Handler): readonly HttpRoute[] {
  return [`${MODEL}${rest}`, `${MODEL}/versions/:version${rest}`].map((path) => ({ method, path, call, handle }));
}

function metadataHandler({ models }: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = namedModel(params);
    const status = models.find(model, version);
    const available = models.list().filter((one) => one.model === model && one.state === 'available');
    const versions = version === undefined ? available.map((one) => one.version).toSorted((a, b) => a - b) : [version];
    return jsonAnswer(modelMetadata(status, versions));
  };
}

function configHandler({ repository }: DialectDeps): Handler {
  return ({ params }) => {
    const { model, version } = namedModel(params);
    return jsonAnswer(repository.config(model, version));
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
