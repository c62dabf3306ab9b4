import type { Datatype } from './datatype.js';
import { floatForm } from './float-form.js';
import type { TensorSpec } from './tensor.js';

/** An element `actual` agrees when |actual - expected| <= absolute + relative * |expected|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** How far outputs may be off: floating-point outputs by the tolerance itself, every output named in `outputs` by its own. */
export interface OutputTolerances extends Tolerance {
  readonly outputs?: readonly (Tolerance & { readonly name: string })[] | undefined;
  /** Only element types and shapes are compared: the values of the model are random. */
  readonly shapeOnly?: true | undefined;
}

export const EXACT: Tolerance = { absolute: 0, relative: 0 };

/** What values of a datatype are, and so how they are compared. */
export function comparedAs(datatype: Datatype): 'floats' | 'integers' | 'same' {
  if (datatype === 'BOOL' || datatype === 'BYTES') return 'same';
  return floatForm(datatype) === undefined ? 'integers' : 'floats';
}

/**
 * The tolerance of one output. Integers are often ids (classes, tokens), of which the nearest is as wrong as any other: they are
 * exact unless an absolute tolerance names the output. Booleans and strings are always exact.
 */
export function toleranceOf(name: string, datatype: Datatype, tolerances: OutputTolerances): Tolerance {
  const kind = comparedAs(datatype);
  if (kind === 'same') return EXACT;
  const own = tolerances.outputs?.find((output) => output.name === name);
  if (kind === 'floats') return own ?? tolerances;
  return { absolute: own?.absolute ?? 0, relative: 0 };
}

/** Why tolerances by output do not fit the outputs of a model; `undefined` when they do. */
export function toleranceProblem(outputs: readonly TensorSpec[], { outputs: own = [] }: OutputTolerances): string | undefined {
  for (const [index, { name, relative }] of own.entries()) {
    const spec = outputs.find((output) => output.name === name);
    const what = `output ${JSON.stringify(name)}`;
    if (spec === undefined) return `there is no ${what}; the outputs are ${outputs.map((output) => output.name).join(', ')}`;
    if (own.findIndex((other) => other.name === name) !== index) return `${what} has two tolerances`;
    const kind = comparedAs(spec.datatype);
    if (kind === 'same') return `${what} is ${spec.datatype}, which is always compared exactly`;
    if (kind === 'integers' && relative !== 0) return `${what} is ${spec.datatype}; integers take an absolute tolerance only`;
  }
  return undefined;
}

/** A tolerance in words, for the reason why an output does not agree. */
export function describeTolerance(datatype: Datatype, { absolute, relative }: Tolerance): string {
  const kind = comparedAs(datatype);
  if (kind === 'same') return 'must be equal';
  if (kind === 'floats') return `allowed: ${absolute} + ${relative} x |expected|`;
  return absolute === 0 ? 'integers must be equal' : `allowed: ${absolute}`;
}
