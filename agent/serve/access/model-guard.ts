import type { DataPlane } from '#agent/inference/contract.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { CallGroup } from '../requests.js';
import type { PredictRequest } from '../predictions.js';
import type { ModelRepository } from '../repository.js';
import type { DialectDeps } from '../dialect.js';

/** Asks whether the request under way may touch a model. Outside of a request nobody may. */
export interface ModelGuard {
  /** Throws `SERVE_UNAUTHENTICATED` or `SERVE_ACCESS_DENIED`. `call`: what the request would do; what it was admitted for when left out. */
  require(model: string, call?: CallGroup): void;
  /** Whether a list that the request asks for names the model. */
  shows(model: string): boolean;
}

/** A prediction needs the right to it, whatever the route that asks calls itself. */
export function guardedPredict(predict: DialectDeps['predict'], guard: ModelGuard): DialectDeps['predict'] {
  return async (request: PredictRequest) => {
    guard.require(request.model, 'inference');
    return predict(request);
  };
}

type Seen = Pick<DataPlane, 'list' | 'find' | 'routed' | 'targetOf' | 'statistics'>;

/** What a request may see of the models, by the names that it may. Asked about before it is looked for: a refusal does not tell whether there is such a model. */
export function guardedModels(models: Seen, guard: ModelGuard): Seen {
  return {
    list: () => models.list().filter(({ model }) => guard.shows(model)),
    find: (model, version) => {
      guard.require(model);
      return models.find(model, version);
    },
    routed: (model) => {
      guard.require(model);
      return models.routed(model);
    },
    targetOf: (model, version) => {
      guard.require(model);
      return models.targetOf(model, version);
    },
    statistics: (model, version) => {
      if (model === undefined) return models.statistics().filter((one) => guard.shows(one.model));
      guard.require(model);
      return models.statistics(model, version);
    },
  };
}

export function guardedRepository(repository: ModelRepository, guard: ModelGuard): ModelRepository {
  return {
    control: repository.control,
    index: () => repository.index().filter(({ name }) => guard.shows(name)),
    load: async (model, override) => {
      guard.require(model, 'repository');
      await repository.load(model, override);
    },
    unload: async (model, options) => {
      guard.require(model, 'repository');
      await repository.unload(model, options);
    },
    replace: async (models) => {
      for (const { name } of models) guard.require(name, 'repository');
      // What is left out would be unloaded.
      if (!repository.index().every(({ name }) => guard.shows(name))) {
        throw new SkerryError('SERVE_ACCESS_DENIED', 'a list of all models to serve needs the right to load and unload every model');
      }
      await repository.replace(models);
    },
    config: (model, version) => {
      guard.require(model);
      return repository.config(model, version);
    },
    labelled: (model, label) => {
      guard.require(model);
      return repository.labelled(model, label);
    },
    labels: (model) => {
      guard.require(model);
      return repository.labels(model);
    },
    classNames: (model, output, version) => {
      guard.require(model);
      return repository.classNames(model, output, version);
    },
  };
}
