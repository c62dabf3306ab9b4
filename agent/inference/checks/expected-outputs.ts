import { rowsOf } from '#shared/tensor/rows.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { ServableSpec } from '../contract.js';

/**
 * The outputs as they are declared, with the number of rows where it is known before the run: a version that may share runs was proved to
 * give one row for each input row.
 */
export function expectedOutputs(spec: Pick<ServableSpec, 'outputs' | 'batching'>, inputs: NamedTensors): readonly TensorSpec[] {
  const rows = spec.batching === undefined ? undefined : rowsOf(inputs);
  if (rows === undefined) return spec.outputs;
  return spec.outputs.map((output) => (output.shape[0] === -1 ? { ...output, shape: [rows, ...output.shape.slice(1)] } : output));
}
