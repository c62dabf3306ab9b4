import type { ServableStatus } from '#agent/inference/contract.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';

/** DataType of types.proto. */
const DATA_TYPES: Readonly<Record<Datatype, string>> = {
  BOOL: 'DT_BOOL',
  UINT8: 'DT_UINT8',
  UINT16: 'DT_UINT16',
  UINT32: 'DT_UINT32',
  UINT64: 'DT_UINT64',
  INT8: 'DT_INT8',
  INT16: 'DT_INT16',
  INT32: 'DT_INT32',
  INT64: 'DT_INT64',
  FP16: 'DT_HALF',
  FP32: 'DT_FLOAT',
  FP64: 'DT_DOUBLE',
  BF16: 'DT_BFLOAT16',
  BYTES: 'DT_STRING',
};

/** GetModelMetadataResponse in its JSON form: inputs and outputs are the signature of the usual name. */
export function modelMetadata({ model, version, inputs, outputs }: Pick<ServableStatus, 'model' | 'version' | 'inputs' | 'outputs'>) {
  const signature = {
    inputs: tensorInfos(inputs),
    outputs: tensorInfos(outputs),
    method_name: 'tensorflow/serving/predict',
    defaults: {},
  };
  return {
    model_spec: { name: model, signature_name: '', version: String(version) },
    metadata: { signature_def: { signature_def: { serving_default: signature } } },
  };
}

function tensorInfos(specs: readonly TensorSpec[]) {
  return Object.fromEntries(specs.map((spec) => [spec.name, tensorInfo(spec)]));
}

function tensorInfo({ name, datatype, shape, anyShape }: TensorSpec) {
  return {
    dtype: DATA_TYPES[datatype],
    tensor_shape: { dim: shape.map((size) => ({ size: String(size), name: '' })), unknown_rank: anyShape === true },
    name: `${name}:0`,
  };
}
