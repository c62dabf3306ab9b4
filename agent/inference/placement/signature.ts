import { SkerryError } from '#shared/kernel/errors.js';
import { describeSpec } from '#shared/tensor/check.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { ServableSpec } from '../contract.js';

/**
 * Compares what the manifest declares with what the model file says of itself: same inputs, every output that the version offers
 * (the file may have others), same datatypes, and no size of an input that contradicts (-1 on either side fits all; a model may
 * know less of its shapes than its publisher). Shapes of outputs are the golden samples' to show: models declare wrong ones.
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
  const fixed = [...spec.inputs, ...spec.outputs, ...file.inputs].find((tensor) => tensor.shape[0] !== -1);
  if (fixed !== undefined) {
    throw new SkerryError('INFERENCE_BATCHING_INVALID', `variant ${variant}: ${describeSpec(fixed)} has no varying first dimension`);
  }
}

function differences(kind: 'input' | 'output', declared: readonly TensorSpec[], actual: readonly TensorSpec[]): readonly string[] {
  const ofFile = new Map(actual.map((tensor) => [tensor.name, tensor]));
  const names = new Set(declared.map((tensor) => tensor.name));
  const undeclared = kind === 'output' ? [] : actual.filter((tensor) => !names.has(tensor.name));
  const problems = undeclared.map((tensor) => `the manifest does not declare ${kind} ${describeSpec(tensor)}`);
  for (const tensor of declared) {
    const found = ofFile.get(tensor.name);
    if (found === undefined) problems.push(`the file has no ${kind} ${describeSpec(tensor)}`);
    else if (found.datatype !== tensor.datatype || (kind === 'input' && !compatible(found, tensor))) {
      problems.push(`${kind} ${describeSpec(tensor)} is ${describeSpec(found)} in the file`);
    }
  }
  return problems;
}

function compatible(file: TensorSpec, declared: TensorSpec): boolean {
  // The runtime says `[]` of a scalar and of an input whose number of dimensions it does not know.
  if (file.shape.length === 0) return true;
  return (
    file.shape.length === declared.shape.length &&
    file.shape.every((size, axis) => size === -1 || declared.shape[axis] === -1 || size === declared.shape[axis])
  );
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
