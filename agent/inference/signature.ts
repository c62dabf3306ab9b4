import { SkerryError } from '#shared/kernel/errors.js';
import { describeSpec } from '#shared/tensor/check.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { ServableSpec } from './contract.js';

/**
 * Compares what the manifest declares with what the model file says of itself: same names and datatypes, same ranks, and
 * no size that contradicts (-1 on either side fits all; a model may know less of its shapes than its publisher).
 * Errors: `INFERENCE_SIGNATURE_MISMATCH`, `INFERENCE_BATCHING_INVALID`.
 */
export function checkSignature(
  spec: Pick<ServableSpec, 'inputs' | 'outputs' | 'batching'>,
  file: { readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] },
  variant: string,
): void {
  const problems = [...differences('input', spec.inputs, file.inputs), ...differences('output', spec.outputs, file.outputs)];
  if (problems.length > 0) {
    throw new SkerryError('INFERENCE_SIGNATURE_MISMATCH', `variant ${variant}: ${problems.slice(0, 8).join('; ')}`, {
      details: { variant, problems: problems.slice(0, 64) },
    });
  }
  if (spec.batching === undefined) return;
  const fixed = [...spec.inputs, ...spec.outputs, ...file.inputs, ...file.outputs].find((tensor) => tensor.shape[0] !== -1);
  if (fixed !== undefined) {
    throw new SkerryError('INFERENCE_BATCHING_INVALID', `variant ${variant}: ${describeSpec(fixed)} has no varying first dimension`);
  }
}

function differences(kind: string, declared: readonly TensorSpec[], actual: readonly TensorSpec[]): readonly string[] {
  const problems = actual
    .filter((tensor) => !declared.some((other) => other.name === tensor.name))
    .map((tensor) => `the manifest does not declare ${kind} ${describeSpec(tensor)}`);
  for (const tensor of declared) {
    const found = actual.find((other) => other.name === tensor.name);
    if (found === undefined) problems.push(`the file has no ${kind} ${describeSpec(tensor)}`);
    else if (found.datatype !== tensor.datatype || !compatible(found.shape, tensor.shape)) {
      problems.push(`${kind} ${describeSpec(tensor)} is ${describeSpec(found)} in the file`);
    }
  }
  return problems;
}

function compatible(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === -1 || b[axis] === -1 || size === b[axis]);
}

/** Throws `INFERENCE_OUTPUT_UNKNOWN` when an output is wanted that the servable does not have. */
export function checkOutputs(spec: Pick<ServableSpec, 'outputs'>, wanted: readonly string[]): void {
  const unknown = wanted.find((name) => !spec.outputs.some((output) => output.name === name));
  if (unknown === undefined) return;
  const known = spec.outputs.map((output) => output.name).join(', ');
  throw new SkerryError(
    'INFERENCE_OUTPUT_UNKNOWN',
    `there is no output ${JSON.stringify(unknown.slice(0, 128))}, expected some of ${known}`,
  );
}
