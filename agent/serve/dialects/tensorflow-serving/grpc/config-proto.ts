import type { ProtoFile } from '#shared/protobuf/descriptor.js';
import { choice, type EnumType, many, map, message, one } from '#shared/protobuf/schema.js';
import { ANY, ANY_PROTO } from './google-protos.js';

// model_server_config.proto, file_system_storage_path_source.proto and logging_config.proto, as far as a request to serve other models has
// them.

const MODEL_TYPE: EnumType = { name: 'tensorflow.serving.ModelType', values: { MODEL_TYPE_UNSPECIFIED: 0, TENSORFLOW: 1, OTHER: 2 } };
const SOURCE = 'tensorflow.serving.FileSystemStoragePathSourceConfig';
const LATEST = message(`${SOURCE}.ServableVersionPolicy.Latest`, { num_versions: one('uint32', 1) });
const ALL = message(`${SOURCE}.ServableVersionPolicy.All`, {});
const SPECIFIC = message(`${SOURCE}.ServableVersionPolicy.Specific`, { versions: many('long', 1) });
const POLICY = message(`${SOURCE}.ServableVersionPolicy`, {
  latest: choice('policy_choice', LATEST, 100),
  all: choice('policy_choice', ALL, 101),
  specific: choice('policy_choice', SPECIFIC, 102),
});
const SOURCE_CONFIG = message(SOURCE, {});
/** Refused wherever it is set, so that nothing in it needs a name. */
const LOGGING_CONFIG = message('tensorflow.serving.LoggingConfig', {});
const MODEL_CONFIG = message('tensorflow.serving.ModelConfig', {
  name: one('string', 1),
  base_path: one('string', 2),
  model_type: one(MODEL_TYPE, 3),
  model_platform: one('string', 4),
  logging_config: one(LOGGING_CONFIG, 6),
  model_version_policy: one(POLICY, 7),
  version_labels: map('long', 8),
});
const MODEL_CONFIG_LIST = message('tensorflow.serving.ModelConfigList', { config: many(MODEL_CONFIG, 1) });
export const MODEL_SERVER_CONFIG = message('tensorflow.serving.ModelServerConfig', {
  model_config_list: choice('config', MODEL_CONFIG_LIST, 1),
  custom_model_config: choice('config', ANY, 2),
});

export const CONFIG_PROTO: ProtoFile = {
  name: 'tensorflow_serving/config/model_server_config.proto',
  package: 'tensorflow.serving',
  imports: [ANY_PROTO],
  messages: [SOURCE_CONFIG, POLICY, LATEST, ALL, SPECIFIC, LOGGING_CONFIG, MODEL_CONFIG, MODEL_CONFIG_LIST, MODEL_SERVER_CONFIG],
  enums: [MODEL_TYPE],
  services: [],
};
