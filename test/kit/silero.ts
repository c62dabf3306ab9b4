import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import { PROJECT_ROOT } from './processes.js';
import { fp32 } from './servables.js';

/** Path of a real model with a real history of versions, as a dev dependency carries it: Silero VAD. */
export function sileroVad(release: 'legacy' | 'v5' | 'v6'): string {
  return path.join(PROJECT_ROOT, `node_modules/@ricky0123/vad-web/dist/silero_vad_${release}.onnx`);
}

export function sileroBytes(): Promise<Uint8Array> {
  return readFile(sileroVad('v5'));
}

/** Signature of v5 and v6. */
export const SILERO: { readonly model: string; readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] } = {
  model: 'vad',
  inputs: [
    { name: 'input', datatype: 'FP32', shape: [-1, -1] },
    { name: 'state', datatype: 'FP32', shape: [2, -1, 128] },
    { name: 'sr', datatype: 'INT64', shape: [] },
  ],
  outputs: [
    { name: 'output', datatype: 'FP32', shape: [-1, 1] },
    { name: 'stateN', datatype: 'FP32', shape: [-1, -1, -1] },
  ],
};

/** Inputs of one window at 16 kHz: `[1, samples.length]` audio and the `[2, 1, 128]` state. */
export const sileroInputs = (samples: Float32Array, state = new Float32Array(256)) =>
  ({
    input: fp32([1, samples.length], samples),
    state: fp32([2, 1, 128], state),
    sr: { datatype: 'INT64', shape: [], data: new Uint8Array(BigInt64Array.of(16_000n).buffer) },
  }) as const;

/** A golden sample that any output passes: for tests of other things. */
export const sileroSample = (inputs: ReturnType<typeof sileroInputs>) => ({
  samples: [{ inputs, outputs: { output: fp32([1, 1], [0]), stateN: fp32([2, 1, 128], new Float32Array(256)) } }],
  tolerance: { absolute: 10, relative: 0 },
});
