import { join } from 'node:path';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { kindOf, readText } from './files.js';

/** The file that makes a folder an MLflow model (mlflow.org, "MLflow Model format"). */
export const MLMODEL = 'MLmodel';

const mlmodelSchema = z.object({ flavors: z.record(z.string(), z.unknown()) });
const onnxSchema = z.object({ data: z.string().min(1).max(1024).default('model.onnx') });

/** The ONNX file of an MLflow model. Errors: `STANDALONE_UNSUPPORTED` for other flavors, `STANDALONE_CONFIG`, `STANDALONE_FOLDER`. */
export async function mlflowFile(folder: string): Promise<string> {
  const what = join(folder, MLMODEL);
  const text = await readText(what);
  const { parse } = await import('yaml');
  let document: unknown;
  try {
    // No anchors: a few bytes could stand for millions.
    document = parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw new SkerryError('STANDALONE_CONFIG', `${what} is not YAML`, { cause });
  }
  const { flavors } = narrow(mlmodelSchema, document, what, 'STANDALONE_CONFIG');
  const onnx = Object.hasOwn(flavors, 'onnx') ? flavors['onnx'] : undefined;
  if (onnx === undefined) {
    const names = Object.keys(flavors).slice(0, 8).join(', ');
    throw new SkerryError(
      'STANDALONE_UNSUPPORTED',
      `${folder} is an MLflow model without the flavor onnx (it has ${names}); log it with mlflow.onnx.log_model`,
    );
  }
  const { data } = narrow(onnxSchema, onnx ?? {}, `the flavor onnx in ${what}`, 'STANDALONE_CONFIG');
  const file = join(folder, data);
  if (data.split(/[\\/]/).includes('..') || (await kindOf(file)) !== 'file') {
    throw new SkerryError('STANDALONE_FOLDER', `there is no file ${file}, which the flavor onnx in ${what} names`);
  }
  return file;
}
