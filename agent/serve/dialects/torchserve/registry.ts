import type { ServableStatus } from '#agent/inference/contract.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { DialectDeps } from '../../dialect.js';
import { idleModelDocument, modelDocument } from './models-document.js';
import { type Registration, severalWorkers, unknownUrl } from './registration-request.js';
import { versionText } from './versions.js';

interface NamedVersion {
  readonly model: ModelName;
  readonly version: VersionNumber | undefined;
}

/**
 * TorchServe's models: those that are loaded, and those of the repository that a client registered without a worker, or took all workers
 * from. The repository of the dialect says what clients may change.
 */
export class TorchserveRegistry {
  readonly #models: DialectDeps['models'];
  readonly #repository: DialectDeps['repository'];
  /** Registered, and not loaded. */
  readonly #idle = new Set<string>();

  constructor({ models, repository }: DialectDeps) {
    this.#models = models;
    this.#repository = repository;
  }

  names(): readonly string[] {
    const loaded = this.#models.list().map(({ model }) => model);
    return [...new Set([...loaded, ...this.#idle])].sort();
  }

  /** Describes a version, or the one that answers, or all. Errors: `INFERENCE_MODEL_UNKNOWN`, `INFERENCE_VERSION_UNKNOWN`. */
  describe({ model, version }: NamedVersion, all: boolean): readonly object[] {
    if (this.#isIdle(model)) return [idleModelDocument(model)];
    const statuses = all ? this.#versions(model) : [this.#models.find(model, version)];
    if (statuses.length === 0) throw unknownModel(model);
    return statuses.map((status) => modelDocument(status, this.#repository.config(status.model, status.version)));
  }

  /** Refuses a prediction of a model that is registered without a worker. */
  checkWorkers(model: ModelName): void {
    if (this.#isIdle(model)) throw new SkerryError('INFERENCE_NOT_READY', `model ${model} has no worker; scale it to one`);
  }

  /** Loads a model of the repository, unless it is to have no worker. Errors: `SERVE_MODEL_REGISTERED`, those of `load`. */
  async register({ url, model, workers }: Registration): Promise<VersionNumber | undefined> {
    this.#checkControl();
    if (this.names().includes(model)) {
      throw new SkerryError('SERVE_MODEL_REGISTERED', `a version is already registered for model ${JSON.stringify(model)}`);
    }
    if (!this.#repository.index().some(({ name }) => name === model)) throw unknownUrl(url);
    if (workers === 0) {
      this.#idle.add(model);
      return undefined;
    }
    await this.#repository.load(model, { files: new Map() });
    return this.#models.list().find((status) => status.model === model)?.version;
  }

  /** Gives a model one worker, or none. Errors: as `describe`, `SERVE_UNSUPPORTED`, those of `load` and `unload`. */
  async scale(named: NamedVersion, { min, max }: { readonly min: number; readonly max: number }): Promise<0 | 1> {
    const { model, version } = named;
    this.describe(named, false);
    if (min > 1) throw severalWorkers('min_worker', min);
    if (max === 0) {
      if (this.#isIdle(model)) return 0;
      this.#checkControl();
      this.#checkOnlyVersion(model, version);
      await this.#repository.unload(model, { dependents: false });
      this.#idle.add(model);
      return 0;
    }
    if (this.#isIdle(model)) {
      this.#checkControl();
      await this.#repository.load(model, { files: new Map() });
      this.#idle.delete(model);
    }
    return 1;
  }

  /** Errors: as `describe`, `SERVE_DEFAULT_VERSION`, `SERVE_UNSUPPORTED`, those of `unload`. */
  async unregister(named: NamedVersion): Promise<void> {
    const { model, version } = named;
    this.describe(named, false);
    this.#checkControl();
    if (this.#idle.delete(model)) return;
    this.#checkOnlyVersion(model, version);
    await this.#repository.unload(model, { dependents: false });
  }

  /** Errors: as `describe`, `SERVE_UNSUPPORTED`. */
  setDefault(named: NamedVersion): void {
    this.describe(named, false);
    if (named.version === this.#models.routed(named.model)) return;
    throw new SkerryError('SERVE_UNSUPPORTED', `the version of model ${named.model} that answers is chosen by its version policy`);
  }

  #versions(model: ModelName): readonly ServableStatus[] {
    return this.#models
      .list()
      .filter((status) => status.model === model)
      .sort((a, b) => a.version - b.version);
  }

  /** A model that is loaded after all, by another protocol, is no longer idle. */
  #isIdle(model: string): boolean {
    if (!this.#idle.has(model)) return false;
    if (!this.#models.list().some((status) => status.model === model)) return true;
    this.#idle.delete(model);
    return false;
  }

  /** All versions of a model are loaded and unloaded together. */
  #checkOnlyVersion(model: ModelName, version: VersionNumber | undefined): void {
    if (version === undefined || this.#versions(model).length <= 1) return;
    if (version === this.#models.routed(model)) {
      throw new SkerryError('SERVE_DEFAULT_VERSION', `Cannot remove default version ${versionText(version)} for model ${model}`);
    }
    throw new SkerryError('SERVE_UNSUPPORTED', `the versions of model ${model} are unloaded together; leave the version out`);
  }

  #checkControl(): void {
    if (this.#repository.control === 'explicit') return;
    throw new SkerryError('SERVE_REPOSITORY_FIXED', 'clients may not change which models are loaded here');
  }
}
