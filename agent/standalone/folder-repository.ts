import type { InferenceRuntime } from '#agent/inference/runtime.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import {
  configOf,
  type LoadOverride,
  type ModelConfigDocument,
  type ModelRepository,
  type RepositoryControl,
  type RepositoryEntry,
} from '#agent/serve/repository.js';
import { localModelNameSchema, type ModelName, type VersionNumber } from '#shared/bundle/names.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { writeOverride } from './override.js';
import { type ModelPlan, planModel } from './plan.js';
import { ServedModel } from './served-model.js';
import type { ModelSource } from './source.js';

interface FolderRepositoryOptions {
  readonly source: ModelSource;
  readonly control: RepositoryControl;
  /** Models to load at the start: these, or all there are. */
  readonly load: readonly string[] | 'all';
  readonly runtime: InferenceRuntime;
  /** Instances of a model whose configuration says no number. */
  readonly instances: number;
  readonly logger: Logger;
}

const NO_OVERRIDE: LoadOverride = { files: new Map() };

/** The models of a folder, without a hub. `start` loads what is to be loaded; a model that cannot be loaded keeps nobody else from serving. */
export class FolderRepository implements ModelRepository, Service {
  readonly control: RepositoryControl;
  readonly #options: FolderRepositoryOptions;
  readonly #models = new Map<string, ServedModel>();

  constructor(options: FolderRepositoryOptions) {
    this.#options = options;
    this.control = options.control;
  }

  async start(): Promise<void> {
    const { source, load, logger } = this.#options;
    const there = await source.names();
    for (const name of there) this.#model(name);
    for (const name of load === 'all' ? there : load) {
      const model = this.#model(name);
      await this.#change(model, NO_OVERRIDE).catch((cause: unknown) => {
        const error = asSkerryError(cause);
        logger.error({ model: name, code: error.code, reason: error.message }, 'a model could not be loaded');
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#models.values()].map((model) => model.changes.run(() => model.unload())));
  }

  index(): readonly RepositoryEntry[] {
    return [...this.#models.values()].flatMap((model) => model.entries());
  }

  async load(name: string, override: LoadOverride): Promise<void> {
    this.#refuseUnlessExplicit();
    const known = this.#models.has(name);
    try {
      await this.#change(this.#model(name), override);
    } catch (cause) {
      // A name that clients made up is not kept.
      if (!known && (await this.#options.source.read(name)) === undefined) this.#models.delete(name);
      throw cause;
    }
  }

  async unload(name: string): Promise<void> {
    this.#refuseUnlessExplicit();
    const model = this.#models.get(name);
    if (model === undefined) throw unknownModel(name);
    await model.changes.run(() => model.unload());
  }

  config(model: ModelName, version?: VersionNumber): ModelConfigDocument {
    const status = this.#options.runtime.find(model, version);
    const plan = this.#planOf(model);
    if (plan === undefined) return configOf(status);
    const { document } = plan;
    // What was not configured was read from the file.
    const tensors = configOf(status);
    const isEmpty = (list: unknown): boolean => Array.isArray(list) && list.length === 0;
    return {
      ...document,
      ...(isEmpty(document['input']) ? { input: tensors['input'] } : {}),
      ...(isEmpty(document['output']) ? { output: tensors['output'] } : {}),
    };
  }

  labelled(model: ModelName, label: string): VersionNumber {
    this.#options.runtime.find(model);
    throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} has no label ${JSON.stringify(label.slice(0, 64))}`);
  }

  labels(): Readonly<Record<string, VersionNumber>> {
    return {};
  }

  classNames(model: ModelName, output: string): readonly string[] | undefined {
    return this.#planOf(model)?.classes.get(output) ?? this.#options.runtime.find(model).classNames?.get(output);
  }

  #planOf(model: ModelName): ModelPlan | undefined {
    return this.#models.get(model)?.serving?.plan;
  }

  /** Loads what the folder has, with what the client gave in its place. */
  async #change(model: ServedModel | undefined, override: LoadOverride): Promise<void> {
    if (model === undefined) throw new SkerryError('INFERENCE_MODEL_UNKNOWN', 'a model has a name of one path segment');
    await model.changes.run(() => this.#changeNow(model, override));
  }

  async #changeNow(model: ServedModel, { config, files }: LoadOverride): Promise<void> {
    const { source, instances } = this.#options;
    if (files.size > 0 && config === undefined) {
      throw new SkerryError('STANDALONE_CONFIG', `model ${model.name}: files are taken only together with a configuration`);
    }
    const written = files.size === 0 ? undefined : await writeOverride(model.name, { files });
    const release = async (): Promise<void> => written?.release();
    try {
      const own = await source.read(model.name);
      const folder = written?.folder ?? own;
      if (folder === undefined) throw unknownInFolder(model.name, source);
      const mark = await own?.mark();
      // What a client gave in place of the folder stays until the folder changes.
      if (config === undefined && mark !== undefined && model.serving?.overridden === mark) return;
      const plan = await planModel(model.name, folder, config, instances);
      await model.serve({ plan, overridden: config === undefined ? undefined : mark, release });
    } catch (cause) {
      await release();
      const error = asSkerryError(cause);
      model.failed(error);
      throw error;
    }
  }

  #model(name: string): ServedModel | undefined {
    const parsed = localModelNameSchema.safeParse(name);
    if (!parsed.success) return undefined;
    const model = this.#models.get(name) ?? new ServedModel(parsed.data, this.#options.runtime);
    this.#models.set(name, model);
    return model;
  }

  #refuseUnlessExplicit(): void {
    if (this.control === 'explicit') return;
    const why = this.control === 'poll' ? 'the folder decides which models are loaded' : 'models are loaded at the start only';
    throw new SkerryError('SERVE_REPOSITORY_FIXED', `${why} (--control ${this.control})`);
  }
}

function unknownInFolder(name: string, source: ModelSource): SkerryError {
  return new SkerryError('INFERENCE_MODEL_UNKNOWN', `there is no model ${JSON.stringify(name)} in ${source.what}`);
}
