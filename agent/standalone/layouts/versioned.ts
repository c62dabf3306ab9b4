import { join } from 'node:path';
import { SkerryError } from '#shared/kernel/errors.js';
import { type Entry, kindOf, list, markOfFolder, readNamedText, readText } from './files.js';
import type { ModelFile, ModelFolder } from './layout.js';
import { otherModel } from './other-models.js';

const MOST_VERSIONS = 10_000;
/** A positive number as people write it: 007 and 0 are other folders. */
const VERSION = /^[1-9]\d{0,14}$/;
export const USUAL_FILE = 'model.onnx';
const CONFIG = 'config.pbtxt';
const LABELS = 'version-labels.json';

/** Files of a model's folder that belong to no version. */
export interface Beside {
  readonly config: string | undefined;
  readonly labels: string | undefined;
}

export async function readBeside(folder: string, entries: readonly Entry[]): Promise<Beside> {
  const [config, labels] = await Promise.all(
    [CONFIG, LABELS].map(async (name) =>
      entries.some((entry) => entry.name === name && !entry.isDirectory) ? readText(join(folder, name)) : undefined,
    ),
  );
  return { config, labels };
}

export function hasVersions(entries: readonly Entry[]): boolean {
  return entries.some((entry) => entry.isDirectory && VERSION.test(entry.name));
}

/** `MODEL/VERSION/model.onnx`: the layout of Triton, with or without config.pbtxt, and of TensorFlow Serving. */
export async function versionedFolder(name: string, folder: string, entries: readonly Entry[]): Promise<ModelFolder> {
  const below = entries.filter((entry) => entry.isDirectory && !entry.name.startsWith('.'));
  const versions = below.filter((entry) => VERSION.test(entry.name)).map((entry) => Number(entry.name));
  return {
    name,
    folder,
    ...(await readBeside(folder, entries)),
    versions: versions.toSorted((a, b) => a - b).slice(-MOST_VERSIONS),
    skipped: below.filter((entry) => !VERSION.test(entry.name)).map((entry) => entry.name),
    mark: async () => {
      const marks = [folder, ...versions.map((version) => join(folder, String(version)))].map(markOfFolder);
      return (await Promise.all(marks)).join();
    },
    fileOf: (version, fileName) => fileIn(version, join(folder, String(version)), fileName),
    text: (fileName) => readNamedText(folder, fileName),
  };
}

async function fileIn(version: number, folder: string, name: string | undefined): Promise<ModelFile> {
  const names = (await list(folder)).map((entry) => entry.name);
  const found = await onnxFile(folder, names, name);
  return { version, file: found, mark: await markOfFolder(folder) };
}

/** The file of this name; without a name `model.onnx`, or the only ONNX file. */
export async function onnxFile(folder: string, names: readonly string[], name: string | undefined): Promise<string> {
  if (name !== undefined) {
    const file = join(folder, name);
    if ((await kindOf(file)) === 'file') return file;
    throw new SkerryError('STANDALONE_FOLDER', `there is no file ${file}, which default_model_filename names`);
  }
  const found = names.filter((one) => one.endsWith('.onnx'));
  const [first, second] = found.includes(USUAL_FILE) ? [USUAL_FILE] : found;
  if (first !== undefined && second === undefined) return join(folder, first);
  if (second !== undefined) {
    throw new SkerryError(
      'STANDALONE_FOLDER',
      `${folder} has several ONNX files (${found.slice(0, 8).join(', ')}); name one of them ${USUAL_FILE}`,
    );
  }
  throw otherModel(folder, names) ?? new SkerryError('STANDALONE_FOLDER', `there is no ${USUAL_FILE} in ${folder}`);
}
