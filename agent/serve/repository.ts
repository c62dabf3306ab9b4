import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { DataPlane, ServableStatus } from '#agent/inference/contract.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** Who decides what is loaded: nobody after the start, the folder (read again and again), or clients. */
export type RepositoryControl = 'none' | 'poll' | 'explicit';

/** A version that could serve here, loaded or not. */
export interface RepositoryEntry {
  readonly name: string;
  /** Left out for a model of which no version was ever loaded. */
  readonly version?: VersionNumber;
  readonly state: 'READY' | 'LOADING' | 'UNLOADING' | 'UNAVAILABLE';
  /** Why it is unavailable. */
  readonly reason?: string;
}

/** What a client gives along with a request to load a model, in place of what the folder has. */
export interface LoadOverride {
  /** A model configuration as JSON text (Triton's ModelConfig). */
  readonly config?: string;
  /** Files by their path in the model's folder, such as `1/model.onnx`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Which versions of a model are to be served. */
export type VersionChoice =
  | { readonly latest: { readonly num_versions: number } }
  | { readonly all: Readonly<Record<string, never>> }
  | { readonly specific: { readonly versions: readonly number[] } };

/** A model that a client wants served. */
export interface WantedModel {
  readonly name: string;
  /** Where the client says that it lies; it can lie nowhere but in the repository. */
  readonly folder: string | undefined;
  /** As its folder says when left out. */
  readonly versions: VersionChoice | undefined;
}

/** A model configuration in the JSON form of Triton's ModelConfig message, fields named as in its .proto. */
export type ModelConfigDocument = Readonly<Record<string, unknown>>;

/** The models that could serve here, and what is known of them beyond their tensors. Dialects translate to it. */
export interface ModelRepository {
  readonly control: RepositoryControl;
  index(): readonly RepositoryEntry[];
  /** Resolves once it serves. Errors: `SERVE_REPOSITORY_FIXED` where clients may not load, `INFERENCE_MODEL_UNKNOWN`, and why it failed. */
  load(model: string, override: LoadOverride): Promise<void>;
  /** Resolves once it takes no more requests; those under way are answered. Errors: `SERVE_REPOSITORY_FIXED`, `INFERENCE_MODEL_UNKNOWN`. */
  unload(model: string, options: { readonly dependents: boolean }): Promise<void>;
  /**
   * Serves these models as the folder has them now, and no others: once all are loaded they take their places, and what is left out is
   * unloaded. When one cannot be loaded nothing changes. Errors: as `load`, `SERVE_UNSUPPORTED` for another folder.
   */
  replace(models: readonly WantedModel[]): Promise<void>;
  /** Configuration of the version, or of the one in service. Errors: as `DataPlane.find`. */
  config(model: ModelName, version?: VersionNumber): ModelConfigDocument;
  /** Version that a label stands for. Errors: `INFERENCE_MODEL_UNKNOWN`, `INFERENCE_VERSION_UNKNOWN`. */
  labelled(model: ModelName, label: string): VersionNumber;
  /** Labels of a model. */
  labels(model: ModelName): Readonly<Record<string, VersionNumber>>;
  /** Name of each class of an output, by index; undefined where none are known. */
  classNames(model: ModelName, output: string, version?: VersionNumber): readonly string[] | undefined;
}

const STATES: Readonly<Record<ServableStatus['state'], RepositoryEntry['state']>> = {
  loading: 'LOADING',
  warming: 'LOADING',
  available: 'READY',
  draining: 'UNLOADING',
  failed: 'UNAVAILABLE',
  unloaded: 'UNAVAILABLE',
};

/** What a servable is to a repository's index. */
export function entryOf({ model, version, state, error }: ServableStatus): RepositoryEntry {
  return { name: model, version, state: STATES[state], ...(error === undefined ? {} : { reason: error.message }) };
}

/** The models of a device that belongs to a fleet: its hub decides which there are. */
export function fleetRepository(dataPlane: Pick<DataPlane, 'list' | 'find'>): ModelRepository {
  const refuse = async (): Promise<never> => {
    throw new SkerryError('SERVE_REPOSITORY_FIXED', 'the hub decides which models this device has');
  };
  return {
    control: 'none',
    index: () => dataPlane.list().map(entryOf),
    load: refuse,
    unload: refuse,
    replace: refuse,
    config: (model, version) => configOf(dataPlane.find(model, version)),
    labelled: (model, label) => {
      if (dataPlane.list().every((status) => status.model !== model)) throw unknownModel(model);
      throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} has no label ${JSON.stringify(label.slice(0, 64))}`);
    },
    labels: () => ({}),
    classNames: (model, output, version) => dataPlane.find(model, version).classNames?.get(output),
  };
}

/** What can be said of a servable that has no configuration of its own. */
export function configOf({ model, version, inputs, outputs }: ServableStatus): ModelConfigDocument {
  const describe = ({ name, datatype, shape }: ServableStatus['inputs'][number]): object => ({
    name,
    data_type: `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`,
    dims: shape,
  });
  return {
    name: model,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    version_policy: { specific: { versions: [version] } },
    max_batch_size: 0,
    input: inputs.map(describe),
    output: outputs.map(describe),
  };
}
