import type { InferenceRuntime } from '#agent/inference/runtime.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import {
  configOf,
  type LoadOverride,
  type ModelConfigDocument,
  type ModelRepository,
  type RepositoryControl,
  type RepositoryEntry,
  type WantedModel,
} from '#agent/serve/repository.js';
import { localModelNameSchema, type ModelName, type VersionNumber } from '#shared/bundle/names.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import type { ModelSource } from './layouts/layout.js';
import { clearAbandoned, writeOverride } from './override.js';
import { type ModelPlan, planModel } from './plan.js';
import { replaceModels, unknownInFolder } from './replace-models.js';
import { type Prepared, ServedModel } from './served-model.js';
import { ShownPaths } from './shown-paths.js';

interface FolderRepositoryOptions {
  readonly source: ModelSource;
  readonly control: RepositoryControl;
  /** Models to load at the start: these, or all there are. */
  readonly load: readonly string[] | 'all';
  /** Time between looks at the folder, unless nothing changes after the start. */
  readonly lookEvery?: Millis;
  readonly runtime: InferenceRuntime;
  /** Instances of a model whose configuration says no number. */
  readonly instances: number;
  readonly clock?: Clock;
  readonly logger: Logger;
}

/** As often as Triton looks. */
const LOOK_EVERY: Millis = seconds(15);

const NO_OVERRIDE: LoadOverride = { files: new Map() };

/** The models of a folder, without a hub. `start` loads what is to be loaded; a model that cannot be loaded keeps nobody else from serving. */
export class FolderRepository implements ModelRepository, Service {
  readonly control: RepositoryControl;
  readonly #options: FolderRepositoryOptions;
  readonly #models = new Map<string, ServedModel>();
  readonly #shown: ShownPaths;
  #looking: Promise<void> = Promise.resolve();
  #cancelLook: () => void = () => undefined;
  #closed = false;

  constructor(options: FolderRepositoryOptions) {
    this.#options = options;
    this.control = options.control;
    this.#shown = new ShownPaths(options.source);
  }

  async start(): Promise<void> {
    const { source, load } = this.#options;
    await clearAbandoned();
    const there = await source.names();
    for (const name of there) this.#model(name);
    for (const name of load === 'all' ? there : load) {
      const model = this.#model(name);
      if (model === undefined) throw noName(name);
      await this.#change(model);
    }
    this.#lookLater();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelLook();
    await this.#looking;
    await Promise.all([...this.#models.values()].map((model) => model.changes.run(() => model.unload())));
  }

  index(): readonly RepositoryEntry[] {
    const shown = this.#shown;
    return [...this.#models.values()]
      .flatMap((model) => model.entries())
      .map((entry) => (entry.reason === undefined ? entry : { ...entry, reason: shown.text(entry.reason) }));
  }

  async load(name: string, override: LoadOverride): Promise<void> {
    this.#refuseUnlessExplicit();
    const known = this.#models.has(name);
    const model = this.#model(name);
    if (model === undefined) throw noName(name);
    await model.changes.run(async () => {
      try {
        await this.#changeNow(model, override);
      } catch (cause) {
        // A name that clients made up is not kept.
        if (!known && (await this.#options.source.read(name).catch(() => undefined)) === undefined) this.#forget(model);
        throw this.#shown.error(asSkerryError(cause));
      }
    });
  }

  async unload(name: string): Promise<void> {
    this.#refuseUnlessExplicit();
    const model = this.#models.get(name);
    if (model === undefined) throw unknownModel(name);
    await model.changes.run(() => model.unload());
  }

  async replace(wanted: readonly WantedModel[]): Promise<void> {
    this.#refuseUnlessExplicit();
    const { source, instances } = this.#options;
    const known = new Set(this.#models.keys());
    for (const { name } of wanted) {
      if (localModelNameSchema.safeParse(name).success && (known.has(name) || (await source.read(name)) !== undefined)) continue;
      throw this.#shown.error(unknownInFolder(name, source));
    }
    const named = wanted.flatMap((as) => {
      const model = this.#model(as.name);
      return model === undefined ? [] : [{ model, as }];
    });
    const others = [...this.#models.values()].filter((model) => wanted.every(({ name }) => name !== model.name));
    try {
      await replaceModels({ wanted: named, others, source, instances });
    } catch (cause) {
      for (const { model } of named) if (!known.has(model.name)) this.#forget(model);
      throw this.#shown.error(asSkerryError(cause));
    }
    for (const { model } of named) this.#warnOfLabels(model);
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
    const served = this.#models.get(model);
    if (served?.serving === undefined) throw unknownModel(model);
    const version = served.labels.get(label);
    if (version !== undefined) return version;
    throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} has no label ${JSON.stringify(label.slice(0, 64))}`);
  }

  labels(model: ModelName): Readonly<Record<string, VersionNumber>> {
    return Object.fromEntries(this.#models.get(model)?.labels ?? []);
  }

  classNames(model: ModelName, output: string): readonly string[] | undefined {
    return this.#planOf(model)?.classes.get(output) ?? this.#options.runtime.find(model).classNames?.get(output);
  }

  /** Looks at the folder once: under `poll` loads what is new or changed, and unloads what is gone. */
  async look(): Promise<void> {
    const { source, logger } = this.#options;
    const there = await source.names();
    for (const [name, model] of this.#models) {
      if (there.includes(name)) continue;
      // In turn with what is being loaded: a client may load a model that the folder does not have.
      await model.changes.run(async () => {
        if (this.control === 'poll') await model.unload();
        this.#forget(model);
      });
    }
    for (const name of there) {
      if (this.#closed) return;
      const model = this.#model(name);
      if (model === undefined || this.control !== 'poll') continue;
      const folder = await source.read(name).catch(() => undefined);
      if (folder !== undefined && (await folder.mark()) === model.mark) continue;
      logger.info({ model: name }, 'the folder of the model has changed');
      await this.#change(model);
    }
  }

  #forget(model: ServedModel): void {
    if (model.serving === undefined && this.#models.get(model.name) === model) this.#models.delete(model.name);
  }

  #planOf(model: ModelName): ModelPlan | undefined {
    return this.#models.get(model)?.serving?.plan;
  }

  /** Loads what the folder has; what was served stays when that fails. */
  async #change(model: ServedModel): Promise<void> {
    await model.changes.run(async () => {
      try {
        await this.#changeNow(model, NO_OVERRIDE);
      } catch (cause) {
        const { code, message } = asSkerryError(cause);
        const served = model.serving === undefined ? '' : '; what was served before goes on';
        this.#options.logger.error({ model: model.name, code, reason: message }, `the model could not be loaded${served}`);
      }
    });
  }

  async #changeNow(model: ServedModel, { config, files }: LoadOverride): Promise<void> {
    const { source, instances } = this.#options;
    if (files.size > 0 && config === undefined) {
      throw new SkerryError('STANDALONE_CONFIG', `model ${model.name}: files are taken only together with a configuration`);
    }
    const written = files.size === 0 ? undefined : await writeOverride(model.name, { files });
    const release = async (): Promise<void> => written?.release();
    let prepared: Prepared;
    try {
      const own = await source.read(model.name);
      const folder = written?.folder ?? own;
      if (folder === undefined) throw unknownInFolder(model.name, source);
      const mark = await own?.mark();
      // What a client gave in place of the folder stays until the folder changes.
      if (config === undefined && mark !== undefined && model.serving?.overridden === mark) return;
      model.mark = mark;
      if (folder.skipped.length > 0) this.#warnOfSkipped(model.name, folder.skipped);
      const plan = await planModel(model.name, folder, { config, instances });
      prepared = await model.prepare({ plan, overridden: config === undefined ? undefined : mark, release });
    } catch (cause) {
      await release();
      const error = asSkerryError(cause);
      model.failed(error);
      throw error;
    }
    // While it waited for its turn, a load before it may have failed and its name been forgotten.
    this.#models.set(model.name, model);
    // From here on the files belong to what is served, even where what was served before cannot be unloaded.
    await prepared.changeOver();
    this.#warnOfLabels(model);
  }

  #warnOfSkipped(model: string, folders: readonly string[]): void {
    this.#options.logger.warn({ model, folders: folders.slice(0, 16) }, 'folders are skipped that are no versions: 1, 2, 3 ...');
  }

  #warnOfLabels({ name: model, serving, labels }: ServedModel): void {
    for (const [label, version] of serving?.plan.labels ?? []) {
      const now = labels.get(label);
      if (now !== version)
        this.#options.logger.warn({ model, label, version, now }, 'a label stays where it is: its version is not served');
    }
  }

  #lookLater(): void {
    if (this.control === 'none' || this.#closed) return;
    const { clock = systemClock, lookEvery = LOOK_EVERY, logger } = this.#options;
    this.#cancelLook = clock.schedule(lookEvery, () => {
      this.#looking = this.look()
        .catch((cause: unknown) => logger.warn({ reason: asSkerryError(cause).message }, 'the folder of models could not be read'))
        .then(() => this.#lookLater());
    });
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

function noName(name: string): SkerryError {
  return new SkerryError('INFERENCE_MODEL_UNKNOWN', `${JSON.stringify(name.slice(0, 128))} cannot be the name of a model`);
}
