import { decodeGolden } from '#shared/bundle/golden.js';
import type { GoldenSample, ModelManifest } from '#shared/bundle/model-manifest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { shapeFits } from '#shared/tensor/check.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';

/**
 * Checks that a golden sample's file holds exactly the tensors the manifest declares, of their types and shapes, so that no
 * device meets a sample it cannot use. Throws `SAFETENSORS_INVALID` or `MANIFEST_MISMATCH`.
 */
export function checkGoldenSample(bytes: Uint8Array, sample: GoldenSample, manifest: Pick<ModelManifest, 'inputs' | 'outputs'>): void {
  const golden = decodeGolden(bytes, `golden sample ${sample.name}`);
  checkTensors(golden.inputs, manifest.inputs, `golden sample ${sample.name}, input`);
  checkTensors(golden.outputs, manifest.outputs, `golden sample ${sample.name}, output`);
}

function checkTensors(tensors: NamedTensors, specs: readonly TensorSpec[], what: string): void {
  const declared = new Map(specs.map((spec) => [spec.name, spec]));
  const stray = Object.keys(tensors).find((name) => !declared.has(name));
  if (stray !== undefined) throw mismatch(`${what} "${stray}" is not declared by the manifest`);
  for (const spec of specs) {
    const tensor = Object.hasOwn(tensors, spec.name) ? tensors[spec.name] : undefined;
    if (tensor === undefined) throw mismatch(`${what} "${spec.name}" is missing`);
    if (tensor.datatype !== spec.datatype) {
      throw mismatch(`${what} "${spec.name}" has type ${tensor.datatype}, the manifest says ${spec.datatype}`);
    }
    if (!shapeFits(spec, tensor.shape))
      throw mismatch(`${what} "${spec.name}" has shape [${tensor.shape.join(',')}], the manifest says [${spec.shape.join(',')}]`);
  }
}

function mismatch(message: string): SkerryError {
  return new SkerryError('MANIFEST_MISMATCH', message);
}
