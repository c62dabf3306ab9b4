import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { SkerryError } from '#shared/kernel/errors.js';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { fromOrt, makeOrtTensor, specFromOrt } from '#shared/tensor/ort.js';
import { checkStringOutputs } from '#shared/tensor/strings.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';

/** A tensor of a model as the file declares it: sizes, or the names ('' where it has none) of dimensions that vary. */
export interface DeclaredTensor {
  readonly spec: TensorSpec;
  readonly dimensions: readonly (number | string)[];
}

/** A model in the runtime of this process, on the CPU with one thread, so that the same inputs give the same outputs. */
export interface LoadedModel {
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
  run(inputs: NamedTensors): Promise<NamedTensors>;
  release(): Promise<void>;
}

/** Only fatal messages of the runtime: what fails is reported as our own error. */
const QUIET = 4;

/** Loads a model from its path, never through our memory. `ONNX_UNLOADABLE`, `TENSOR_UNSUPPORTED`. */
export async function loadModel(path: string): Promise<LoadedModel> {
  // Loaded here and not at the top, so that commands that run no model start fast.
  silenceOnnxRuntime();
  const { default: ort } = await import('onnxruntime-node');
  let session: InferenceSession;
  try {
    session = await ort.InferenceSession.create(path, {
      executionProviders: ['cpu'],
      executionMode: 'sequential',
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: QUIET,
    });
  } catch (cause) {
    throw new SkerryError('ONNX_UNLOADABLE', `${path} cannot be loaded: ${messageOf(cause)}`, { cause });
  }
  const makeTensor = (tensor: Tensor, name: string): OrtTensor =>
    makeOrtTensor<OrtTensor>(ort.Tensor, tensor, `input ${JSON.stringify(name)}`);
  return {
    inputs: session.inputMetadata.map(declared),
    outputs: session.outputMetadata.map(declared),
    async run(inputs) {
      const feeds = Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, makeTensor(tensor, name)]));
      const outputs = await session.run(feeds, { logSeverityLevel: QUIET });
      const given = Object.fromEntries(
        Object.entries(outputs).map(([name, tensor]) => [name, fromOrt(tensor, `output ${JSON.stringify(name)}`)]),
      );
      checkStringOutputs(inputs, given);
      return given;
    },
    release: () => session.release(),
  };
}

function declared(metadata: InferenceSession.ValueMetadata): DeclaredTensor {
  const spec = specFromOrt(metadata);
  return { spec, dimensions: metadata.isTensor ? metadata.shape.map((size) => size) : [] };
}

/** The runtime's sentence, on one line and of bearable length. */
export function messageOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 500);
}
