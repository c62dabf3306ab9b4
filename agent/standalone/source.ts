import { basename, dirname, join, resolve } from 'node:path';
import { localModelNameSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type Entry, kindOf, list } from './layouts/files.js';
import type { ModelFolder, ModelSource } from './layouts/layout.js';
import { MLMODEL, mlflowFile } from './layouts/mlflow.js';
import { singleFile } from './layouts/single.js';
import { hasVersions, onnxFile, readBeside, versionedFolder } from './layouts/versioned.js';

const MOST_MODELS = 10_000;

/** What is understood, for those who named something else. */
const UNDERSTOOD = [
  'Understood are an ONNX file;',
  'a folder of models (MODEL/VERSION/model.onnx, with or without MODEL/config.pbtxt);',
  'a model of it (VERSION/model.onnx);',
  'a folder with model.onnx;',
  'and an MLflow model with the flavor onnx (MLmodel)',
].join(' ');

/** A folder of models, each of which has its folder. */
export function folderSource(root: string): ModelSource {
  return {
    what: root,
    folders: [resolve(root)],
    names: async () => {
      const entries = await list(root);
      const names = entries.filter((entry) => entry.isDirectory && isModelName(entry.name)).map(({ name }) => name);
      return names.slice(0, MOST_MODELS);
    },
    read: async (name) => {
      const folder = join(root, name);
      return isModelName(name) && (await kindOf(folder)) === 'folder' ? readModel(name, folder) : undefined;
    },
  };
}

/**
 * What these paths hold: files, folders of one model, or one folder of models. Errors: `STANDALONE_FOLDER`; a model of another kind is
 * refused when it is read.
 */
export async function sourceAt(paths: readonly string[], modelName?: string): Promise<ModelSource> {
  const found = await Promise.all(paths.map(async (path) => ({ path: resolve(path), kind: await kindOf(path) })));
  const missing = found.find(({ kind }) => kind === undefined);
  if (missing !== undefined) throw new SkerryError('STANDALONE_FOLDER', `there is no file or folder ${missing.path}`);
  const [only] = found;
  if (only !== undefined && found.length === 1 && only.kind === 'folder' && (await holdsModels(only.path))) {
    if (modelName === undefined) return folderSource(only.path);
    throw new SkerryError('CLI_USAGE', `${only.path} holds models with names of their own; --model-name is for one model`);
  }
  if (modelName !== undefined && found.length > 1) throw new SkerryError('CLI_USAGE', '--model-name is for one model');
  return namedSource(found.map(({ path, kind }) => [modelName ?? nameOf(path), path, kind === 'file']));
}

/** True for a folder that is no model itself, but has some. Errors: `STANDALONE_FOLDER`. */
async function holdsModels(folder: string): Promise<boolean> {
  const entries = await list(folder);
  if (isModel(entries)) return false;
  // Models may come into an empty one while it is looked at, or be loaded with all their files.
  if (entries.length === 0) return true;
  const below = entries.filter((entry) => entry.isDirectory && isModelName(entry.name)).slice(0, MOST_MODELS);
  for (const { name } of below) {
    const inside = await list(join(folder, name)).catch(() => []);
    if (isModel(inside) || inside.some((entry) => entry.name === 'config.pbtxt')) return true;
  }
  throw new SkerryError('STANDALONE_FOLDER', `no model was found in ${folder}. ${UNDERSTOOD}`);
}

/** Version folders may be empty still; anything else needs a file that says what it is. */
function isModel(entries: readonly Entry[]): boolean {
  return hasVersions(entries) || entries.some(({ name, isDirectory }) => !isDirectory && (name === MLMODEL || name.endsWith('.onnx')));
}

/** A model in a folder of its own, in whichever layout. */
async function readModel(name: string, folder: string): Promise<ModelFolder> {
  const entries = await list(folder);
  if (entries.some((entry) => entry.name === MLMODEL)) return singleFile(name, await mlflowFile(folder));
  const files = entries.filter((entry) => !entry.isDirectory).map((entry) => entry.name);
  if (hasVersions(entries) || !files.some((file) => file.endsWith('.onnx'))) return versionedFolder(name, folder, entries);
  return singleFile(name, await onnxFile(folder, files, undefined), await readBeside(folder, entries));
}

/** Models that were named one by one. Errors: `STANDALONE_FOLDER` for names that are none, or that two have. */
function namedSource(models: readonly (readonly [name: string, path: string, isFile: boolean])[]): ModelSource {
  const byName = new Map<string, { readonly path: string; readonly isFile: boolean }>();
  for (const [name, path, isFile] of models) {
    if (!isModelName(name))
      throw new SkerryError('STANDALONE_FOLDER', `${path}: ${JSON.stringify(name)} is no name of a model; give one with --model-name`);
    const other = byName.get(name);
    if (other !== undefined) throw new SkerryError('STANDALONE_FOLDER', `${other.path} and ${path} would both be called ${name}`);
    byName.set(name, { path, isFile });
  }
  return {
    what: models.map(([, path]) => path).join(', '),
    folders: models.map(([, path]) => dirname(path)),
    names: async () => [...byName.keys()],
    read: async (name) => {
      const model = byName.get(name);
      if (model === undefined) return undefined;
      const there = await kindOf(model.path);
      if (there === undefined) return undefined;
      return model.isFile ? singleFile(name, model.path) : readModel(name, model.path);
    },
  };
}

/** `resnet.onnx` is resnet; a folder is called as it is. */
function nameOf(path: string): string {
  return basename(path).replace(/\.onnx$/i, '');
}

/** Anything but names that lead out of the folder. */
function isModelName(name: string): boolean {
  return localModelNameSchema.safeParse(name).success;
}
