import { SkerryError } from '#shared/kernel/errors.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import type { DialectDeps } from '../../../dialect.js';
import type { VersionChoice, WantedModel } from '../../../repository.js';
import type { MODEL_SERVER_CONFIG } from './config-proto.js';

type ServerConfig = MessageOf<typeof MODEL_SERVER_CONFIG>;
type ModelConfig = NonNullable<ServerConfig['model_config_list']>['config'][number];

/** What clients of TensorFlow Serving always write; what a model is shows in its file. */
const PLATFORMS: readonly string[] = ['', 'tensorflow', 'onnxruntime_onnx'];
const OTHER_TYPE = 2;

/** "HandleReloadConfigRequest": serves the models of the list, and no others, or changes nothing. Errors: `SERVE_REQUEST`, `SERVE_UNSUPPORTED`, as `ModelRepository.replace`. */
export async function reloadConfig({ repository }: DialectDeps, config: ServerConfig | undefined): Promise<void> {
  if (config?.custom_model_config !== undefined) throw unsupported('custom_model_config', 'the server');
  const list = config?.model_config_list;
  if (list === undefined) throw new SkerryError('SERVE_REQUEST', 'the request has no config with a model_config_list');
  const wanted = list.config.map(wantedModel);
  const names = wanted.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new SkerryError('SERVE_REQUEST', `model ${JSON.stringify(twice.slice(0, 128))} is in the list twice`);
  await repository.replace(wanted);
}

function wantedModel(config: ModelConfig): WantedModel {
  const { name, base_path: folder, model_platform: platform, model_version_policy: policy } = config;
  if (!PLATFORMS.includes(platform)) throw unsupported(`model_platform ${JSON.stringify(platform.slice(0, 128))}`, name);
  if (config.model_type === OTHER_TYPE) throw unsupported('model_type OTHER', name);
  if (config.logging_config !== undefined) throw unsupported('logging_config', name);
  if (config.version_labels.size > 0) throw unsupported('version_labels (labels stand in version-labels.json of the model)', name);
  return { name, folder: folder === '' ? undefined : folder, versions: policy === undefined ? undefined : choiceOf(policy, name) };
}

function choiceOf({ latest, all, specific }: NonNullable<ModelConfig['model_version_policy']>, name: string): VersionChoice | undefined {
  if (all !== undefined) return { all: {} };
  if (specific !== undefined) {
    if (specific.versions.length > 0) return { specific };
    throw new SkerryError('SERVE_REQUEST', `model ${JSON.stringify(name.slice(0, 128))}: a specific policy names at least one version`);
  }
  // file_system_storage_path_source.proto: the default is 1.
  return latest === undefined ? undefined : { latest: { num_versions: Math.max(1, latest.num_versions) } };
}

function unsupported(what: string, model: string): SkerryError {
  return new SkerryError('SERVE_UNSUPPORTED', `model ${JSON.stringify(model.slice(0, 128))}: ${what} is not supported`);
}
