import type { TensorSpec } from '#shared/tensor/tensor.js';
import { type OnnxFile, readOnnxFile } from './onnx-file.js';
import { type DeclaredTensor, type LoadedModel, loadModel } from './runtime.js';

export interface ModelInspection extends OnnxFile {
  readonly path: string;
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
}

/** What a model file is: read from the file and from the runtime. Errors: `ONNX_*`, `TENSOR_UNSUPPORTED`, `IO_FAILED`. */
export async function inspectModel(path: string): Promise<ModelInspection> {
  return withModel(path, (inspection) => Promise.resolve(inspection));
}

/** Inspects a model and hands it over loaded; it is released when `use` is done. */
export async function withModel<T>(path: string, use: (inspection: ModelInspection, model: LoadedModel) => Promise<T>): Promise<T> {
  const file = readOnnxFile(path);
  const model = await loadModel(path);
  try {
    return await use({ ...file, path, inputs: model.inputs, outputs: model.outputs }, model);
  } finally {
    await model.release();
  }
}

export function specsOf(tensors: readonly DeclaredTensor[]): readonly TensorSpec[] {
  return tensors.map((tensor) => tensor.spec);
}
