import type { ProtoFile } from '#shared/protobuf/descriptor.js';
import { choice, type EnumType, many, map, message, one, opaque, rpc, service } from '#shared/protobuf/schema.js';
import { INPUT, INPUT_PROTO } from './example-protos.js';
import { CONFIG_PROTO, MODEL_SERVER_CONFIG } from './config-proto.js';
import { ANY, ANY_PROTO, INT64_VALUE, WRAPPERS_PROTO } from './google-protos.js';

// The messages of TensorFlow Serving that are spoken here, written anew from its API: tensor.proto, tensor_shape.proto, types.proto,
// meta_graph.proto, model.proto, predict.proto, classification.proto, regression.proto, inference.proto, get_model_metadata.proto,
// get_model_status.proto, model_management.proto, and the services.

export const DATA_TYPE: EnumType = {
  name: 'tensorflow.DataType',
  values: {
    DT_INVALID: 0,
    DT_FLOAT: 1,
    DT_DOUBLE: 2,
    DT_INT32: 3,
    DT_UINT8: 4,
    DT_INT16: 5,
    DT_INT8: 6,
    DT_STRING: 7,
    DT_INT64: 9,
    DT_BOOL: 10,
    DT_BFLOAT16: 14,
    DT_UINT16: 17,
    DT_HALF: 19,
    DT_UINT32: 22,
    DT_UINT64: 23,
  },
};
const DIM = message('tensorflow.TensorShapeProto.Dim', { size: one('long', 1), name: one('string', 2) });
const SHAPE = message('tensorflow.TensorShapeProto', { dim: many(DIM, 2), unknown_rank: one('bool', 3) });

const TENSOR_HEAD = {
  dtype: one(DATA_TYPE, 1),
  tensor_shape: one(SHAPE, 2),
  version_number: one('int32', 3),
  tensor_content: one('bytes', 4),
  string_val: many('bytes', 8),
} as const;

/** As it is declared. */
const DECLARED_TENSOR = message('tensorflow.TensorProto', {
  ...TENSOR_HEAD,
  half_val: many('int32', 13),
  float_val: many('float', 5),
  double_val: many('double', 6),
  int_val: many('int32', 7),
  int64_val: many('int64', 10),
  bool_val: many('bool', 11),
  uint32_val: many('uint32', 16),
  uint64_val: many('uint64', 17),
});

/** As it is read and written: numbers of a repeated field come packed, and stay the bytes that they are until the tensor is made. */
export const TENSOR = message('tensorflow.TensorProto', {
  ...TENSOR_HEAD,
  half_val: many('bytes', 13),
  float_val: many('bytes', 5),
  double_val: many('bytes', 6),
  int_val: many('bytes', 7),
  int64_val: many('bytes', 10),
  bool_val: many('bytes', 11),
  uint32_val: many('bytes', 16),
  uint64_val: many('bytes', 17),
});

const TENSOR_INFO = message('tensorflow.TensorInfo', {
  name: choice('encoding', 'string', 1),
  dtype: one(DATA_TYPE, 2),
  tensor_shape: one(SHAPE, 3),
});
const SIGNATURE = message('tensorflow.SignatureDef', {
  inputs: map(TENSOR_INFO, 1),
  outputs: map(TENSOR_INFO, 2),
  method_name: one('string', 3),
});
const TENSORFLOW_PROTO: ProtoFile = {
  name: 'tensorflow/core/framework/tensor.proto',
  package: 'tensorflow',
  imports: [],
  messages: [DIM, SHAPE, DECLARED_TENSOR, TENSOR_INFO, SIGNATURE],
  enums: [DATA_TYPE],
  services: [],
};

const MODEL_SPEC = message('tensorflow.serving.ModelSpec', {
  name: one('string', 1),
  version: choice('version_choice', INT64_VALUE, 2),
  signature_name: one('string', 3),
  version_label: choice('version_choice', 'string', 4),
});
const PREDICT_REQUEST = message('tensorflow.serving.PredictRequest', {
  model_spec: one(MODEL_SPEC, 1),
  inputs: map(TENSOR, 2),
  output_filter: many('string', 3),
});
const PREDICT_RESPONSE = message('tensorflow.serving.PredictResponse', { outputs: map(TENSOR, 1), model_spec: one(MODEL_SPEC, 2) });
const METADATA_REQUEST = message('tensorflow.serving.GetModelMetadataRequest', {
  model_spec: one(MODEL_SPEC, 1),
  metadata_field: many('string', 2),
});
const METADATA_RESPONSE = message('tensorflow.serving.GetModelMetadataResponse', {
  model_spec: one(MODEL_SPEC, 1),
  metadata: map(ANY, 2),
});
export const SIGNATURE_MAP = message('tensorflow.serving.SignatureDefMap', { signature_def: map(SIGNATURE, 1) });
const STATE: EnumType = {
  name: 'tensorflow.serving.ModelVersionStatus.State',
  values: { UNKNOWN: 0, START: 10, LOADING: 20, AVAILABLE: 30, UNLOADING: 40, END: 50 },
};
const STATUS_CODE: EnumType = { name: 'tensorflow.error.Code', values: { OK: 0, UNKNOWN: 2 } };
const ERROR_PROTO: ProtoFile = {
  name: 'tensorflow/core/protobuf/error_codes.proto',
  package: 'tensorflow.error',
  imports: [],
  messages: [],
  enums: [STATUS_CODE],
  services: [],
};
const STATUS = message('tensorflow.serving.StatusProto', { error_code: one(STATUS_CODE, 1), error_message: one('string', 2) });
const VERSION_STATUS = message('tensorflow.serving.ModelVersionStatus', {
  version: one('long', 1),
  state: one(STATE, 2),
  status: one(STATUS, 3),
});
const CLASS = message('tensorflow.serving.Class', { label: one('string', 1), score: one('float', 2) });
const CLASSIFICATIONS = message('tensorflow.serving.Classifications', { classes: many(CLASS, 1) });
const CLASSIFICATION_RESULT = message('tensorflow.serving.ClassificationResult', { classifications: many(CLASSIFICATIONS, 1) });
const REGRESSION = message('tensorflow.serving.Regression', { value: one('float', 1) });
const REGRESSION_RESULT = message('tensorflow.serving.RegressionResult', { regressions: many(REGRESSION, 1) });
// Examples and results are read and written a piece at a time: both may be many.
const CLASSIFICATION_REQUEST = message('tensorflow.serving.ClassificationRequest', {
  model_spec: one(MODEL_SPEC, 1),
  input: opaque(INPUT, 2),
});
const CLASSIFICATION_RESPONSE = message('tensorflow.serving.ClassificationResponse', {
  result: opaque(CLASSIFICATION_RESULT, 1),
  model_spec: one(MODEL_SPEC, 2),
});
const REGRESSION_REQUEST = message('tensorflow.serving.RegressionRequest', { model_spec: one(MODEL_SPEC, 1), input: opaque(INPUT, 2) });
const REGRESSION_RESPONSE = message('tensorflow.serving.RegressionResponse', {
  result: opaque(REGRESSION_RESULT, 1),
  model_spec: one(MODEL_SPEC, 2),
});
const TASK = message('tensorflow.serving.InferenceTask', { model_spec: one(MODEL_SPEC, 1), method_name: one('string', 2) });
const INFERENCE_RESULT = message('tensorflow.serving.InferenceResult', {
  model_spec: one(MODEL_SPEC, 1),
  classification_result: { number: 2, type: CLASSIFICATION_RESULT, label: 'opaque', oneof: 'result' },
  regression_result: { number: 3, type: REGRESSION_RESULT, label: 'opaque', oneof: 'result' },
});
const MULTI_REQUEST = message('tensorflow.serving.MultiInferenceRequest', { tasks: many(TASK, 1), input: opaque(INPUT, 2) });
const MULTI_RESPONSE = message('tensorflow.serving.MultiInferenceResponse', { results: many(INFERENCE_RESULT, 1) });
const RELOAD_REQUEST = message('tensorflow.serving.ReloadConfigRequest', { config: one(MODEL_SERVER_CONFIG, 1) });
const RELOAD_RESPONSE = message('tensorflow.serving.ReloadConfigResponse', { status: one(STATUS, 1) });
const STATUS_REQUEST = message('tensorflow.serving.GetModelStatusRequest', { model_spec: one(MODEL_SPEC, 1) });
export const STATUS_RESPONSE = message('tensorflow.serving.GetModelStatusResponse', { model_version_status: many(VERSION_STATUS, 1) });

export const PREDICTION_SERVICE = service('tensorflow.serving.PredictionService', {
  Predict: rpc(PREDICT_REQUEST, PREDICT_RESPONSE),
  Classify: rpc(CLASSIFICATION_REQUEST, CLASSIFICATION_RESPONSE),
  Regress: rpc(REGRESSION_REQUEST, REGRESSION_RESPONSE),
  MultiInference: rpc(MULTI_REQUEST, MULTI_RESPONSE),
  GetModelMetadata: rpc(METADATA_REQUEST, METADATA_RESPONSE),
});
export const MODEL_SERVICE = service('tensorflow.serving.ModelService', {
  GetModelStatus: rpc(STATUS_REQUEST, STATUS_RESPONSE),
  HandleReloadConfigRequest: rpc(RELOAD_REQUEST, RELOAD_RESPONSE),
});

export const SERVING_PROTO: ProtoFile = {
  name: 'tensorflow_serving/apis/serving.proto',
  package: 'tensorflow.serving',
  imports: [TENSORFLOW_PROTO, INPUT_PROTO, CONFIG_PROTO, WRAPPERS_PROTO, ANY_PROTO, ERROR_PROTO],
  messages: [
    MODEL_SPEC,
    PREDICT_REQUEST,
    PREDICT_RESPONSE,
    METADATA_REQUEST,
    METADATA_RESPONSE,
    SIGNATURE_MAP,
    CLASS,
    CLASSIFICATIONS,
    CLASSIFICATION_RESULT,
    CLASSIFICATION_REQUEST,
    CLASSIFICATION_RESPONSE,
    REGRESSION,
    REGRESSION_RESULT,
    REGRESSION_REQUEST,
    REGRESSION_RESPONSE,
    TASK,
    INFERENCE_RESULT,
    MULTI_REQUEST,
    MULTI_RESPONSE,
    RELOAD_REQUEST,
    RELOAD_RESPONSE,
    STATUS,
    VERSION_STATUS,
    STATUS_REQUEST,
    STATUS_RESPONSE,
  ],
  enums: [STATE],
  services: [PREDICTION_SERVICE, MODEL_SERVICE],
};
