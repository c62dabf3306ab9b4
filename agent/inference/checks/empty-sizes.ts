import { SkerryError } from '#shared/kernel/errors.js';
import { formatShape } from '#shared/tensor/shape.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';

/** Where the inputs of a version's golden samples have a size of 0, as `AXIS NAME`: what this device has seen the version take. */
export type EmptySizes = ReadonlySet<string>;

export function emptySizes(samples: readonly { readonly inputs: NamedTensors }[]): EmptySizes {
  return new Set(samples.flatMap(({ inputs }) => Object.entries(inputs).flatMap(([name, { shape }]) => emptyAxes(name, shape))));
}

/**
 * Refuses a size of 0 that no golden sample has: kernels of ONNX Runtime (its LSTM, for one) end the whole process on empty
 * input, with every other model in it, where they should fail (R2, R7). Throws `TENSOR_EMPTY`.
 */
export function checkEmptySizes(proven: EmptySizes, inputs: NamedTensors): void {
  for (const [name, { shape }] of Object.entries(inputs)) {
    if (!shape.includes(0) || emptyAxes(name, shape).every((place) => proven.has(place))) continue;
    throw new SkerryError(
      'TENSOR_EMPTY',
      `input ${JSON.stringify(name)} has shape ${formatShape(shape)}; no golden sample of the version shows that it takes a size of 0 there`,
    );
  }
}

function emptyAxes(name: string, shape: readonly number[]): readonly string[] {
  return shape.flatMap((size, axis) => (size === 0 ? [`${axis} ${name}`] : []));
}
