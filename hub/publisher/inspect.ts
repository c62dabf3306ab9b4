import { basename } from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { ModelEnds } from '#shared/onnx/model-ends.js';
import { type Feature } from '#shared/onnx/offers.js';
import { type ModelPlan, planModel } from '#shared/onnx/rewriting.js';
import { ortMessage } from '#shared/tensor/ort-message.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import { fileKind } from './file-kind.js';
import {
  checkBounds,
  type DeclaredTensor,
  type ModelValue,
  offeredInputs,
  offeredOutputs,
  valuesOf,
  valuesOfFile,
} from './model-values.js';
import { type OnnxFile, readOnnxFile } from './onnx-file.js';
import { type LoadedModel, openModel, type OpenedModel } from './runtime.js';
import { variantNameOf } from './variant-name.js';

const SHOWN_ALL_THE_SAME: ReadonlySet<string> = new Set(['MODEL_UNSUPPORTED', 'ONNX_UNLOADABLE', 'ONNX_EXTERNAL_DATA']);

export interface ModelInspection extends Omit<OnnxFile, 'inputs' | 'outputs'> {
  readonly path: string;
  /** What form of a model it is: `fp32`, `fp16`, `int8` ... */
  readonly form: string;
  /** The runtime that loaded it. */
  readonly runtime?: string;
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  /** What an agent must be able to rewrite to load it (docs/PROTOCOL.md). */
  readonly features: readonly Feature[];
  /** Why no version can be made of it, where that is known already. */
  readonly problem?: SkerryError;
}

/**
 * What a model file is: read from the file and from the runtime, which decides what a model is. What the runtime does not take is
 * shown by the file alone, with the `problem`. Errors: `ONNX_INVALID`, `IO_FAILED`.
 */
export async function inspectModel(path: string): Promise<ModelInspection> {
  const file = readOnnxFile(path);
  const plan = planModel(path);
  let model: OpenedModel;
  try {
    model = await open(path, file, plan);
  } catch (cause) {
    // What no runtime here loads is still a model whose file can be shown; what is none is not.
    if (!(cause instanceof SkerryError) || !SHOWN_ALL_THE_SAME.has(cause.code)) throw cause;
    const { inputs, outputs } = file;
    const values = { inputs: valuesOfFile(inputs), outputs: valuesOfFile(outputs) };
    return { ...file, path, form: variantNameOf(file), features: [], ...values, problem: cause };
  }
  try {
    return inspectionOf(path, file, model, plan);
  } finally {
    await model.release();
  }
}

/** Opens a model and hands it over with the outputs `wanted` (all when there is none); it is released when `use` is done. */
export async function withModel<T>(
  path: string,
  wanted: readonly string[],
  use: (inspection: ModelInspection, model: LoadedModel) => Promise<T>,
): Promise<T> {
  const file = readOnnxFile(path);
  const plan = planModel(path, wanted.length === 0 ? undefined : wanted);
  const model = await open(path, file, plan);
  try {
    const inspection = inspectionOf(path, file, model, plan);
    checkBounds(file, inspection.inputs, inspection.outputs);
    return await use(inspection, model.offering(offeredInputs(inspection.inputs), offeredOutputs(inspection.outputs, wanted)));
  } finally {
    await model.release();
  }
}

function inspectionOf(path: string, file: OnnxFile, model: OpenedModel, plan: ModelPlan): ModelInspection {
  const { runtime } = model;
  const ends = new ModelEnds(plan);
  const inputs = valuesOf(model.inputs, ends.typed('inputs', file.inputs));
  const outputs = valuesOf(model.outputs, ends.typed('outputs', file.outputs));
  return { ...file, path, form: variantNameOf(file), runtime, features: plan.rewriting?.features ?? [], inputs, outputs };
}

async function open(path: string, file: OnnxFile, plan: ModelPlan): Promise<OpenedModel> {
  if (file.externalFiles.length > 0) {
    const named = file.externalFiles.filter((name) => name !== '').map((name) => JSON.stringify(name));
    const where = named.length === 0 ? 'another file' : named.join(', ');
    throw new SkerryError('ONNX_EXTERNAL_DATA', `${path} keeps weights in ${where} (external data)`);
  }
  try {
    return await openModel(path, plan);
  } catch (cause) {
    throw whyNotOpened(path, file, cause);
  }
}

/** The runtime's refusal in words for the person who has the file. */
function whyNotOpened(path: string, file: OnnxFile, cause: unknown): SkerryError {
  const binding = /^Unsupported data type: (\d+)$/.exec(cause instanceof Error ? cause.message : '');
  if (binding !== null) return new SkerryError('MODEL_UNSUPPORTED', whyNoTensor(file), { cause });
  const name = basename(path);
  const kind = fileKind(path);
  if (kind !== undefined) return new SkerryError('ONNX_INVALID', `${name} is ${kind.what}: ${kind.advice}`, { cause });
  const { unreadable } = file;
  if (unreadable?.ended === true && (file.irVersion > 0 || file.inputs.length > 0)) {
    const reason = `${name} is not complete: it has ${file.sizeBytes} bytes and ends in the middle of what begins at byte ${unreadable.at}`;
    return new SkerryError('ONNX_INVALID', `${reason}; copy or download it again`, { cause });
  }
  if (unreadable !== undefined) {
    const reason = `${name} is not an ONNX file, or it is damaged: ${unreadable.reason} (at byte ${unreadable.at})`;
    return new SkerryError('ONNX_INVALID', reason, { cause });
  }
  return new SkerryError('ONNX_UNLOADABLE', `${name} cannot be loaded: ${ortMessage(cause)}`, { cause });
}

/** Which input or output has an element type that the runtime's binding has no form for. */
function whyNoTensor(file: OnnxFile): string {
  const unknown = (kind: string, values: readonly ModelValue[]): readonly string[] =>
    values.filter(({ type }) => !/^[A-Z]/.test(type)).map(({ name, type }) => `${kind} ${JSON.stringify(name)} is ${type}`);
  const found = [...unknown('input', valuesOfFile(file.inputs)), ...unknown('output', valuesOfFile(file.outputs))];
  const what = found.length === 0 ? 'an input or output has an element type' : `${found.join(', ')}, a type`;
  return `${what} that the runtime cannot pass to programs; put a Cast at that end of the model, for example to float (FP32)`;
}

export function specsOf(tensors: readonly DeclaredTensor[]): readonly TensorSpec[] {
  return tensors.map((tensor) => tensor.spec);
}
