import type { ProtoFile } from '#shared/protobuf/descriptor.js';
import { choice, many, map, message, one } from '#shared/protobuf/schema.js';

// feature.proto, example.proto and input.proto as they are declared. What comes in such messages is read by `example-inputs.ts`: lists of
// values may be many and long.

const BYTES_LIST = message('tensorflow.BytesList', { value: many('bytes', 1) });
const FLOAT_LIST = message('tensorflow.FloatList', { value: many('float', 1) });
const INT64_LIST = message('tensorflow.Int64List', { value: many('int64', 1) });
export const FEATURE = message('tensorflow.Feature', {
  bytes_list: choice('kind', BYTES_LIST, 1),
  float_list: choice('kind', FLOAT_LIST, 2),
  int64_list: choice('kind', INT64_LIST, 3),
});
const FEATURES = message('tensorflow.Features', { feature: map(FEATURE, 1) });
const EXAMPLE = message('tensorflow.Example', { features: one(FEATURES, 1) });

export const EXAMPLE_PROTO: ProtoFile = {
  name: 'tensorflow/core/example/example.proto',
  package: 'tensorflow',
  imports: [],
  messages: [BYTES_LIST, FLOAT_LIST, INT64_LIST, FEATURE, FEATURES, EXAMPLE],
  enums: [],
  services: [],
};

const EXAMPLE_LIST = message('tensorflow.serving.ExampleList', { examples: many(EXAMPLE, 1) });
const WITH_CONTEXT = message('tensorflow.serving.ExampleListWithContext', { examples: many(EXAMPLE, 1), context: one(EXAMPLE, 2) });
export const INPUT = message('tensorflow.serving.Input', {
  example_list: choice('kind', EXAMPLE_LIST, 1),
  example_list_with_context: choice('kind', WITH_CONTEXT, 2),
});

export const INPUT_PROTO: ProtoFile = {
  name: 'tensorflow_serving/apis/input.proto',
  package: 'tensorflow.serving',
  imports: [EXAMPLE_PROTO],
  messages: [EXAMPLE_LIST, WITH_CONTEXT, INPUT],
  enums: [],
  services: [],
};
