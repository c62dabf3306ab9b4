import { asSkerryError } from '#shared/kernel/errors.js';
import { type Datatype, elementSize } from '#shared/tensor/datatype.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { ServableSpec } from '../contract.js';
import type { Instance } from '../instances/instance.js';

const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Runs an unsigned version once, so that the first request need not wait for what the runtime makes in a first run; where the sizes of all
 * inputs are known. A model that refuses made-up values is no worse for it. Rejects when the instance ended in it.
 */
export async function warmUp(instance: Instance, spec: ServableSpec): Promise<void> {
  const inputs = madeUpInputs(spec.inModel?.inputs ?? spec.inputs, spec.maxRows !== undefined);
  if (inputs === undefined) return;
  try {
    await instance.run(inputs, undefined, true);
  } catch (cause) {
    if (!instance.alive) throw asSkerryError(cause);
  }
}

/** One row where the first dimension is that of the batch; undefined where another size varies, or it would be much. */
export function madeUpInputs(inputs: readonly TensorSpec[], batched: boolean): NamedTensors | undefined {
  const shaped = inputs.map((spec) => ({
    ...spec,
    shape: spec.shape.map((size, axis) => (batched && axis === 0 && size === -1 ? 1 : size)),
  }));
  const bytes = shaped.map(({ datatype, shape }) => shape.reduce((product, size) => product * size, elementSize(datatype) ?? 4));
  const known = shaped.every(({ shape, anyShape }) => anyShape !== true && shape.every((size) => size > 0));
  if (!known || shaped.length === 0 || bytes.reduce((sum, size) => sum + size, 0) > MOST_BYTES) return undefined;
  return Object.fromEntries(
    shaped.map(({ name, datatype, shape }, index) => [name, { datatype, shape, data: filled(datatype, bytes[index] ?? 0) }]),
  );
}

/** Zeros, and ones where numbers are whole: dividing by zero would end the process. Strings are empty. */
function filled(datatype: Datatype, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  const size = elementSize(datatype);
  if (size === undefined || !/INT/.test(datatype)) return data;
  for (let at = 0; at < bytes; at += size) data[at] = 1;
  return data;
}
