import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { formatShape, shapeMatches } from './shape.js';
import { type NamedTensors, tensorNamed, type TensorSpec } from './tensor.js';

interface Problem {
  readonly code: ErrorCode;
  readonly tensor: string;
  readonly message: string;
}

/**
 * Checks tensors against what the model declares: every name known, none missing, datatype equal, shape fitting (-1 takes
 * any size). Throws one error that lists every problem and what was expected; its code is that of the first:
 * `TENSOR_UNKNOWN`, `TENSOR_MISSING`, `TENSOR_DATATYPE` or `TENSOR_SHAPE`.
 */
export function checkTensors(specs: readonly TensorSpec[], tensors: NamedTensors, kind: 'input' | 'output' = 'input'): void {
  if (allFit(specs, tensors)) return;
  const problems = [...unknownNames(specs, tensors, kind), ...specs.flatMap((spec) => checkOne(spec, tensors, kind))];
  const [first] = problems;
  if (first === undefined) return;
  const listed = problems.slice(0, 8).map((problem) => problem.message);
  throw new SkerryError(first.code, listed.join('; '), { details: { problems: problems.slice(0, 64) } });
}

/** A spec in words: `input FP32 [1,-1]`. */
export function describeSpec(spec: TensorSpec): string {
  return `${spec.name} ${describeType(spec)}`;
}

/** Element type and shape of a spec in words: `FP32 [1,-1]`, `FP32 of any shape`. */
export function describeType(spec: Pick<TensorSpec, 'datatype' | 'shape' | 'anyShape'>): string {
  return spec.anyShape === true ? `${spec.datatype} of any shape` : `${spec.datatype} ${formatShape(spec.shape)}`;
}

/** True when a concrete shape fits what a spec declares. */
export function shapeFits(spec: Pick<TensorSpec, 'shape' | 'anyShape'>, shape: readonly number[]): boolean {
  return spec.anyShape === true || shapeMatches(spec.shape, shape);
}

/** The usual case: this runs on every prediction. */
function allFit(specs: readonly TensorSpec[], tensors: NamedTensors): boolean {
  for (const spec of specs) {
    const tensor = tensorNamed(tensors, spec.name);
    if (tensor?.datatype !== spec.datatype || !shapeFits(spec, tensor.shape)) return false;
  }
  // Every one that is declared is there, so that no other is where there are no more.
  return Object.keys(tensors).length === specs.length;
}

function unknownNames(specs: readonly TensorSpec[], tensors: NamedTensors, kind: string): readonly Problem[] {
  const known = new Set(specs.map((spec) => spec.name));
  return Object.keys(tensors)
    .filter((name) => !known.has(name))
    .map((name) => ({
      code: 'TENSOR_UNKNOWN',
      tensor: name,
      message: `there is no ${kind} ${JSON.stringify(name.slice(0, 128))}, expected ${specs.map(describeSpec).join(', ')}`,
    }));
}

function checkOne(spec: TensorSpec, tensors: NamedTensors, kind: string): readonly Problem[] {
  const problem = (code: ErrorCode, what: string): readonly Problem[] => {
    const expected = `expected ${describeType(spec)}`;
    return [{ code, tensor: spec.name, message: `${kind} ${JSON.stringify(spec.name)} ${what}, ${expected}` }];
  };
  const tensor = tensorNamed(tensors, spec.name);
  if (tensor === undefined) return problem('TENSOR_MISSING', 'is missing');
  if (tensor.datatype !== spec.datatype) return problem('TENSOR_DATATYPE', `is ${tensor.datatype}`);
  if (!shapeFits(spec, tensor.shape)) return problem('TENSOR_SHAPE', `has shape ${formatShape(tensor.shape)}`);
  return [];
}
