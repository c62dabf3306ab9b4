import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import { tensorNamed } from '#shared/tensor/tensor.js';

/** Tensors under the shapes that the other side has for them: the sizes that vary keep their order. The bytes stay. */
export function reshaped(from: readonly TensorSpec[], to: readonly TensorSpec[], tensors: NamedTensors): NamedTensors {
  const changes = from.flatMap((spec, index) => {
    const tensor = tensorNamed(tensors, spec.name);
    const target = to[index];
    if (tensor === undefined || target === undefined || target.shape === spec.shape) return [];
    return [[spec.name, { ...tensor, shape: shapeOf(spec.shape, target.shape, tensor.shape) }] as const];
  });
  return changes.length === 0 ? tensors : { ...tensors, ...Object.fromEntries(changes) };
}

function shapeOf(from: readonly number[], to: readonly number[], shape: readonly number[]): readonly number[] {
  const varying = shape.filter((_size, axis) => from[axis] === -1);
  let next = 0;
  return to.map((size) => (size === -1 ? (varying[next++] ?? 1) : size));
}
