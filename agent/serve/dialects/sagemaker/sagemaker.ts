import type { SkerryError } from '#shared/kernel/errors.js';
import type { Dialect, DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute, ShortAnswer } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { onlyModel } from '../../only-model.js';
import { invoke } from './invoke.js';
import { modelRoutes } from './models.js';

/** Header by which clients of an endpoint with several models name theirs. */
const TARGET_FIELD = 'x-amzn-sagemaker-target-model';

/**
 * What SageMaker asks of a container, with one model or with several. `infer` answers a request of the Open Inference Protocol for the
 * parameter `model`: bodies in JSON and in binary are in its form, as in Triton's container.
 */
export function sagemaker(infer: (deps: DialectDeps) => Handler): Dialect {
  return { name: 'sagemaker', http: (deps) => ({ routes: routes(deps, infer(deps)), error: sagemakerError }) };
}

function routes(deps: DialectDeps, infer: Handler): readonly HttpRoute[] {
  const invocations: Handler = (exchange) => {
    const named = exchange.headers[TARGET_FIELD];
    const model = onlyModel(deps.models, typeof named === 'string' ? named : exchange.query.get('model_name'));
    return invoke(deps, infer, exchange, model);
  };
  return [
    { method: 'GET', path: '/ping', call: 'health', handle: pingHandler(deps) },
    { method: 'POST', path: '/invocations', call: 'inference', handle: invocations },
    ...modelRoutes(deps, infer),
  ];
}

/** 200 while the models in service answer; a container for several models starts with none. */
function pingHandler({ models }: DialectDeps): Handler {
  return () => {
    const down = models.list().some(({ model, version, state }) => state !== 'available' && models.routed(model) === version);
    return { status: down ? 503 : 200, headers: {}, body: [''] };
  };
}

/** SageMaker loads another model's place where memory lacks (507), and takes 409 for a model that is loaded already. */
function sagemakerError(error: SkerryError): ShortAnswer {
  return jsonAnswer({ error: error.message, code: error.code }, STATUSES[error.code] ?? error.http);
}

const STATUSES: Readonly<Partial<Record<SkerryError['code'], number>>> = {
  INFERENCE_OUT_OF_MEMORY: 507,
  SERVE_REPOSITORY_FIXED: 405,
};
