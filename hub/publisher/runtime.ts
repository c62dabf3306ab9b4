import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { SkerryError } from '#shared/kernel/errors.js';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { fromOrt, inheritedNames, makeOrtTensor } from '#shared/tensor/ort.js';
import { ortMessage } from '#shared/tensor/ort-message.js';
import { allowAnyName, namedTensors, type NamedTensors } from '#shared/tensor/tensor.js';
import { ModelEnds, type RuntimeValue } from '#shared/onnx/model-ends.js';
import type { ModelPlan } from '#shared/onnx/rewriting.js';
import type { DeclaredTensor } from './model-values.js';

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

const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  executionMode: 'sequential',
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: QUIET,
};

/** Opens a model from its path, through our memory only where it is rewritten. Rejects with the runtime's own error. */
export async function openModel(path: string, plan: ModelPlan): Promise<OpenedModel> {
  // Loaded here and not at the top, so that commands that run no model start fast.
  silenceOnnxRuntime();
  const { default: ort } = await import('onnxruntime-node');
  const session = await (plan.rewriting === undefined
    ? ort.InferenceSession.create(path, SESSION_OPTIONS)
    : ort.InferenceSession.create(plan.rewriting.bytes(), SESSION_OPTIONS));
  const ends = new ModelEnds(plan);
  allowAnyName([...session.inputNames, ...session.outputNames]);
  return {
    runtime: `ONNX Runtime ${ort.env.versions.node ?? ort.env.versions.common}`,
    inputs: ends.described('inputs', session.inputMetadata),
    outputs: ends.described('outputs', session.outputMetadata),
    offering: (inputs, outputs) => ({ inputs, outputs, run: (tensors) => run({ session, ortTensor: ort.Tensor, ends }, tensors, outputs) }),
    release: () => session.release(),
  };
}

async function run(
  { session, ortTensor, ends }: { readonly session: InferenceSession; readonly ortTensor: typeof OrtTensor; readonly ends: ModelEnds },
  inputs: NamedTensors,
  outputs: readonly DeclaredTensor[],
): Promise<NamedTensors> {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => {
      const fed = ends.fed(name, tensor);
      return [fed.name, makeOrtTensor<OrtTensor>(ortTensor, fed.tensor, `input ${JSON.stringify(name)}`)];
    }),
  );
  const names = outputs.map(({ spec }) => ends.asked(spec.name));
  const results = await session.run(feeds, [...new Set([...names, ...inheritedNames(session.outputNames)])], { logSeverityLevel: QUIET });
  const given = Object.entries(results).filter(([name]) => names.includes(name));
  return ends.given(namedTensors(given.map(([name, value]) => [name, fromOrt(value, `output ${JSON.stringify(name)}`)] as const)));
}

/** The runtime's sentence, or ours. */
export function messageOf(cause: unknown): string {
  return cause instanceof SkerryError ? cause.message : ortMessage(cause);
}
