import type { DataPlane } from '#agent/inference/contract.js';
import type { ModelName } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { namedModel } from './named.js';

const SHOWN_MODELS = 8;

/**
 * The model of a request whose path names none: the one that is named otherwise, else the only one there is. Errors:
 * `INFERENCE_MODEL_UNKNOWN`, `SERVE_REQUEST` where several are served.
 */
export function onlyModel(models: Pick<DataPlane, 'list'>, named: string | null): ModelName {
  if (named !== null) return namedModel({ model: named }).model;
  const served = [...new Set(models.list().map(({ model }) => model))];
  const [only] = served;
  if (only === undefined) throw new SkerryError('INFERENCE_MODEL_UNKNOWN', 'no model is served here');
  if (served.length === 1) return only;
  const shown = served.slice(0, SHOWN_MODELS).join(', ');
  throw new SkerryError('SERVE_REQUEST', `${served.length} models are served (${shown}); name one with ?model_name=NAME`);
}
