import { shapeFits } from '#shared/tensor/check.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { DeclaredTensor } from './model-values.js';

/** An output that came in another shape than the model declares, and what the version says of it instead. */
export interface ObservedShape {
  readonly name: string;
  readonly declared: TensorSpec;
  readonly recorded: TensorSpec;
}

/**
 * The outputs of a version: as declared where the model kept to that, else as they came. A dimension that came in several sizes
 * varies (-1); so does one that came in a single size while that proves nothing, since no other sizes of the inputs were tried
 * (`varied` is false). Where the number of dimensions differs any shape is taken.
 */
export function observedOutputs(
  declared: readonly DeclaredTensor[],
  seen: readonly NamedTensors[],
  varied: boolean,
): { readonly outputs: readonly TensorSpec[]; readonly differing: readonly ObservedShape[] } {
  const differing: ObservedShape[] = [];
  const outputs = declared.map(({ spec }) => {
    const shapes = seen.flatMap((tensors) => (Object.hasOwn(tensors, spec.name) ? [tensors[spec.name]?.shape ?? []] : []));
    if (shapes.length === 0 || (spec.anyShape !== true && shapes.every((shape) => shapeFits(spec, shape)))) return spec;
    const recorded = settled(spec, shapes, varied);
    differing.push({ name: spec.name, declared: spec, recorded });
    return recorded;
  });
  return { outputs, differing };
}

/** True when some output came in another shape than declared, or was declared without one. */
export function shapesDiffer(declared: readonly DeclaredTensor[], seen: readonly NamedTensors[]): boolean {
  return observedOutputs(declared, seen, false).differing.length > 0;
}

function settled(
  { name, datatype, shape: declared, anyShape }: TensorSpec,
  shapes: readonly (readonly number[])[],
  varied: boolean,
): TensorSpec {
  const [first = []] = shapes;
  if (shapes.some((shape) => shape.length !== first.length)) return { name, datatype, shape: [], anyShape: true };
  const known = anyShape !== true && declared.length === first.length;
  const shape = first.map((size, axis) => {
    if (shapes.some((other) => other[axis] !== size)) return -1;
    if (known && (declared[axis] === size || declared[axis] === -1)) return declared[axis];
    return varied ? size : -1;
  });
  return { name, datatype, shape };
}
