import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type {
  Answer,
  PredictionRecorder,
  PredictionTarget,
  PredictionTiming,
  Recheck,
  ServableSpec,
  ShadowResult,
} from '#agent/inference/contract.js';
import type { KeyValue } from '#agent/inference/placement/placement-memory.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { bytesOf } from '#shared/tensor/elements.js';
import { writeSafetensors } from '#shared/tensor/safetensors.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import type { OutputTolerances } from '#shared/tensor/tolerance.js';

export const modelName = (name: string) => modelNameSchema.parse(name);
export const versionNumber = (version: number) => versionNumberSchema.parse(version);

export function fp32(shape: readonly number[], values: readonly number[] | Float32Array): Tensor {
  return { datatype: 'FP32', shape, data: bytesOf(Float32Array.from(values)) };
}

export function numbersOf(tensor: Tensor | undefined): number[] {
  if (tensor === undefined) return [];
  const bytes = tensor.data.slice();
  return [...new Float32Array(bytes.buffer)];
}

export interface SpecOptions {
  readonly model?: string;
  readonly version?: number;
  readonly inputs?: readonly TensorSpec[];
  readonly outputs?: readonly TensorSpec[];
  readonly samples?: readonly { readonly inputs: NamedTensors; readonly outputs: NamedTensors }[];
  readonly providers?: readonly string[];
  readonly batching?: ServableSpec['batching'];
  readonly tolerance?: OutputTolerances;
  /** More files of the same model, tried after `bytes`. */
  readonly others?: readonly { readonly name: string; readonly bytes: Uint8Array; readonly providers?: readonly string[] }[];
}

/** Signature of the models in `onnx-models.ts`. */
export const X: TensorSpec = { name: 'x', datatype: 'FP32', shape: [-1, 4] };
export const Y: TensorSpec = { name: 'y', datatype: 'FP32', shape: [-1, 4] };

/** Golden sample of `affineModel({ scale, bias })`. */
export function affineSample(scale = 2, bias = 1): { inputs: NamedTensors; outputs: NamedTensors } {
  const x = [0.5, -1, 2, 3];
  return {
    inputs: { x: fp32([1, 4], x) },
    outputs: {
      y: fp32(
        [1, 4],
        x.map((value) => value * scale + bias),
      ),
    },
  };
}

/** Writes model files and golden samples to a fresh folder and describes them as `models` would after verifying a version. */
export async function writeServable(bytes: Uint8Array, options: SpecOptions = {}): Promise<ServableSpec> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-servable-'));
  const write = async (name: string, content: Uint8Array) => {
    const file = path.join(folder, name);
    await writeFile(file, content);
    return { file, digest: digestSchema.parse(createHash('sha256').update(content).digest('hex')) };
  };
  const variants = [];
  for (const variant of [{ name: 'fp32', bytes, providers: options.providers ?? ['cpu'] }, ...(options.others ?? [])]) {
    const { file, digest } = await write(`${variant.name}.onnx`, variant.bytes);
    variants.push({ name: variant.name, file, digest, providers: variant.providers ?? ['cpu'] });
  }
  const goldenSamples = [];
  for (const [index, sample] of (options.samples ?? [affineSample()]).entries()) {
    const tensors = Object.fromEntries([
      ...Object.entries(sample.inputs).map(([name, tensor]) => [`inputs/${name}`, tensor] as const),
      ...Object.entries(sample.outputs).map(([name, tensor]) => [`outputs/${name}`, tensor] as const),
    ]);
    const { file } = await write(`sample-${index}.safetensors`, writeSafetensors(tensors));
    goldenSamples.push({ name: `sample-${index}`, file, tolerance: options.tolerance ?? { absolute: 1e-5, relative: 1e-4 } });
  }
  return {
    model: modelName(options.model ?? 'affine'),
    version: versionNumber(options.version ?? 1),
    manifest: digestSchema.parse(createHash('sha256').update(`${options.model}${options.version}`).update(bytes).digest('hex')),
    inputs: options.inputs ?? [X],
    outputs: options.outputs ?? [Y],
    variants,
    goldenSamples,
    ...(options.batching === undefined ? {} : { batching: options.batching }),
  };
}

/** A key-value store in memory. */
export function memoryKeyValue(): KeyValue & { readonly entries: Map<string, string> } {
  const entries = new Map<string, string>();
  return {
    entries,
    get: (key) => Promise.resolve(entries.get(key)),
    set: (key, value) => {
      entries.set(key, value);
      return Promise.resolve();
    },
  };
}

/** Keeps what was recorded. */
export class MemoryRecorder implements PredictionRecorder {
  readonly successes: { target: PredictionTarget; timing: PredictionTiming; answer: Answer | undefined }[] = [];
  readonly failures: { target: PredictionTarget | undefined; code: string }[] = [];
  readonly crashes: PredictionTarget[] = [];
  readonly rechecks: Recheck[] = [];
  readonly shadows: { target: PredictionTarget; result: ShadowResult }[] = [];
  dropped = 0;

  succeeded(target: PredictionTarget, timing: PredictionTiming, answer?: Answer): void {
    this.successes.push({ target, timing, answer });
  }

  failed(target: PredictionTarget | undefined, code: string): void {
    this.failures.push({ target, code });
  }

  crashed(target: PredictionTarget): void {
    this.crashes.push(target);
  }

  rechecked(_target: PredictionTarget, result: Recheck): void {
    this.rechecks.push(result);
  }

  shadowed(target: PredictionTarget, result: ShadowResult): void {
    this.shadows.push({ target, result });
  }

  shadowDropped(): void {
    this.dropped++;
  }
}
