import { describeSpec } from './check.js';
import type { TensorSpec } from './tensor.js';

/** What a version takes and gives, as its manifest declares it. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * Why requests that fitted one version may not fit the one that replaces it; `undefined` when every request that fitted still does.
 * Where it cannot happen, a request that does not fit is its caller's mistake and says nothing of the version. Pure.
 */
export function narrowing(before: Signature, after: Signature): string | undefined {
  for (const spec of after.inputs) {
    const known = before.inputs.find((input) => input.name === spec.name);
    if (known === undefined) return `input ${describeSpec(spec)} is new`;
    if (!takesAll(known, spec)) return `input ${describeSpec(known)} became ${describeSpec(spec)}`;
  }
  const input = before.inputs.find((spec) => !after.inputs.some(({ name }) => name === spec.name));
  if (input !== undefined) return `input ${describeSpec(input)} is gone`;
  const output = before.outputs.find((spec) => !after.outputs.some(({ name }) => name === spec.name));
  return output === undefined ? undefined : `output ${describeSpec(output)} is gone`;
}

function takesAll(before: TensorSpec, after: TensorSpec): boolean {
  if (before.datatype !== after.datatype) return false;
  if (after.anyShape === true || before.anyShape === true) return after.anyShape === true;
  if (before.shape.length !== after.shape.length) return false;
  return after.shape.every((size, axis) => size === -1 || size === before.shape[axis]);
}
