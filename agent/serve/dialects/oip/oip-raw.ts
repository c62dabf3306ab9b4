import type { ServableStatus } from '#agent/inference/contract.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { elementSize } from '#shared/tensor/datatype.js';
import { elementCount } from '#shared/tensor/shape.js';
import { namedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import type { OipRequest } from './oip-request.js';

/**
 * A body that is the data of the model's only input and nothing else: Triton's binary data extension with a header length of 0. All
 * outputs come back as binary data. Errors: `SERVE_REQUEST` where input or shape are not clear, and those of tensors.
 */
export function rawRequest(bytes: Uint8Array, { model, inputs }: Pick<ServableStatus, 'model' | 'inputs'>, batched: boolean): OipRequest {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1) {
    throw new SkerryError('SERVE_REQUEST', `a body without a JSON part needs a model with one input, model ${model} has ${inputs.length}`);
  }
  return {
    id: undefined,
    key: undefined,
    inputs: namedTensors([[input.name, rawTensor(bytes, input, batched)]]),
    regions: [],
    outputs: undefined,
    binaryOutput: true,
    timeout: undefined,
    priority: undefined,
    sequence: undefined,
  };
}

function rawTensor(bytes: Uint8Array, { name, datatype, shape, anyShape }: TensorSpec, batched: boolean): Tensor {
  const what = `input ${JSON.stringify(name)}`;
  const [, ...rest] = shape;
  const sizes = anyShape === true ? [-1] : batched ? [1, ...rest] : shape;
  const size = elementSize(datatype);
  if (size === undefined) {
    const isOne = sizes.every((axis) => axis === 1) && sizes.length > 0;
    if (!isOne) throw new SkerryError('SERVE_REQUEST', `${what}: a body without a JSON part is one text, the model takes another shape`);
    return fromBinary(datatype, sizes, joinBytesElements([bytes]), what);
  }
  const free = sizes.filter((axis) => axis === -1).length;
  if (free > 1)
    throw new SkerryError(
      'SERVE_REQUEST',
      `${what} has ${free} free dimensions; a body without a JSON part needs a JSON part with its shape`,
    );
  const fixed = elementCount(
    sizes.filter((axis) => axis !== -1),
    what,
  );
  const left = fixed === 0 ? 0 : Math.floor(bytes.byteLength / size / fixed);
  return fromBinary(
    datatype,
    sizes.map((axis) => (axis === -1 ? left : axis)),
    bytes,
    what,
  );
}
