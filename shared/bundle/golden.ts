import { LIMITS } from '#shared/kernel/limits.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { readSafetensors, writeSafetensors } from '#shared/tensor/safetensors.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';

const INPUTS = 'inputs/';
const OUTPUTS = 'outputs/';

export interface GoldenTensors {
  readonly inputs: NamedTensors;
  readonly outputs: NamedTensors;
}

/** The file of a golden sample: safetensors holding `inputs/<name>` and `outputs/<name>`. The same tensors give the same bytes. */
export function encodeGolden(golden: GoldenTensors): Uint8Array {
  const prefixed = (prefix: string, tensors: NamedTensors): [string, Tensor][] =>
    Object.entries(tensors).map(([name, tensor]) => [prefix + name, tensor]);
  return writeSafetensors(Object.fromEntries([...prefixed(INPUTS, golden.inputs), ...prefixed(OUTPUTS, golden.outputs)]));
}

/** Reads the file of a golden sample; tensors are views over `bytes`. `INPUT_TOO_LARGE`, `SAFETENSORS_INVALID`. */
export function decodeGolden(bytes: Uint8Array, what: string): GoldenTensors {
  if (bytes.byteLength > LIMITS.goldenSampleBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${what} has ${bytes.byteLength} bytes, at most ${LIMITS.goldenSampleBytes} are accepted`);
  }
  const entries = Object.entries(readSafetensors(bytes, what).tensors);
  const stray = entries.find(([name]) => !name.startsWith(INPUTS) && !name.startsWith(OUTPUTS));
  if (stray !== undefined) {
    throw new SkerryError(
      'SAFETENSORS_INVALID',
      `${what}: tensor ${JSON.stringify(stray[0])} is neither under "inputs/" nor under "outputs/"`,
    );
  }
  const under = (prefix: string): NamedTensors =>
    Object.fromEntries(entries.filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) => [name.slice(prefix.length), tensor]));
  return { inputs: under(INPUTS), outputs: under(OUTPUTS) };
}
