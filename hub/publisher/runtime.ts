import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { SkerryError } from '#shared/kernel/errors.js';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { fromOrt, inheritedNames, makeOrtTensor } from '#shared/tensor/ort.js';
import { ortMessage } from '#shared/tensor/ort-message.js';
import { allowAnyName, namedTensors, type NamedTensors } from '#shared/tensor/tensor.js';
import type { DeclaredTensor, RuntimeValue } from './model-values.js';

/** A model in the runtime of this process, on the CPU with one thread, so that the same inputs give the same outputs. */
export interface LoadedModel {
  readonly inputs: readonly DeclaredTensor[];
  /** The outputs that are asked for; the model may have others. */
  readonly outputs: readonly DeclaredTensor[];
  run(inputs: NamedTensors): Promise<NamedTensors>;
}

/** A model file opened by the runtime, before it is known what a version takes of it. */
export interface OpenedModel {
  readonly runtime: string;
  readonly inputs: readonly RuntimeValue[];
  readonly outputs: readonly RuntimeValue[];
  /** The model with the inputs and outputs that a version offers. */
  offering(inputs: readonly DeclaredTensor[], outputs: readonly DeclaredTensor[]): LoadedModel;
  release(): Promise<void>;
}

/** Only fatal messages of the runtime: what fails is reported as our own error. */
const QUIET = 4;

/** Opens a model from its path, never through our memory. Rejects with the runtime's own error. */
export async function openModel(path: string): Promise<OpenedModel> {
  // Loaded here and not at the top, so that commands that run no model start fast.
  silenceOnnxRuntime();
  const { default: ort } = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(path, {
    executionProviders: ['cpu'],
    executionMode: 'sequential',
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: QUIET,
  });
  allowAnyName([...session.inputNames, ...session.outputNames]);
  return {
    runtime: `ONNX Runtime ${ort.env.versions.node ?? ort.env.versions.common}`,
    inputs: session.inputMetadata,
    outputs: session.outputMetadata,
    offering: (inputs, outputs) => ({ inputs, outputs, run: (tensors) => run(session, ort.Tensor, tensors, outputs) }),
    release: () => session.release(),
  };
}

async function run(
  session: InferenceSession,
  ortTensor: typeof OrtTensor,
  inputs: NamedTensors,
  outputs: readonly DeclaredTensor[],
): Promise<NamedTensors> {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name, makeOrtTensor<OrtTensor>(ortTensor, tensor, `input ${JSON.stringify(name)}`)]),
  );
  const names = outputs.map(({ spec }) => spec.name);
  const results = await session.run(feeds, [...new Set([...names, ...inheritedNames(session.outputNames)])], { logSeverityLevel: QUIET });
  const given = Object.entries(results).filter(([name]) => names.includes(name));
  return namedTensors(given.map(([name, value]) => [name, fromOrt(value, `output ${JSON.stringify(name)}`)] as const));
}

/** The runtime's sentence, or ours. */
export function messageOf(cause: unknown): string {
  return cause instanceof SkerryError ? cause.message : ortMessage(cause);
}
