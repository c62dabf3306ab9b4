import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestSchema, localModelNameSchema } from '#shared/bundle/names.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';

/** A file of a version, and a mark that changes with it. */
export interface ModelFile {
  readonly version: number;
  readonly file: string;
  readonly mark: Digest;
}

/** What lies in a model's folder. */
export interface ModelFolder {
  readonly name: string;
  readonly folder: string;
  /** Text of config.pbtxt, where there is one. */
  readonly config: string | undefined;
  /** Numbers of the version folders. */
  readonly versions: readonly number[];
  /** Changes with everything in the folder; contents of files are not read. */
  mark(): Promise<string>;
  /** The file of this name in a version's folder. Errors: `STANDALONE_FOLDER`. */
  fileOf(version: number, fileName: string): Promise<ModelFile>;
  /** Lines of a text file in the folder. Errors: `STANDALONE_FOLDER`, `INPUT_TOO_LARGE`. */
  lines(fileName: string): Promise<readonly string[]>;
}

/** Where models come from. */
export interface ModelSource {
  /** What it is, for people. */
  readonly what: string;
  /** Names of the models that are there now. */
  names(): Promise<readonly string[]>;
  /** The model, or undefined where there is none of this name. */
  read(name: string): Promise<ModelFolder | undefined>;
}

const MOST_MODELS = 10_000;
const MOST_VERSIONS = 10_000;
const MOST_TEXT_BYTES = 1024 * 1024;
/** A positive number as people write it: 007 and 0 are other folders. */
const VERSION = /^[1-9]\d{0,14}$/;

/** Anything but names that lead out of the folder. */
export function isModelName(name: string): boolean {
  return localModelNameSchema.safeParse(name).success;
}

/** A folder of models: `MODEL/config.pbtxt` and `MODEL/VERSION/model.onnx`. */
export function folderSource(root: string): ModelSource {
  return {
    what: root,
    names: async () => {
      const entries = await list(root);
      return entries
        .filter((entry) => entry.isDirectory && isModelName(entry.name))
        .map(({ name }) => name)
        .toSorted()
        .slice(0, MOST_MODELS);
    },
    read: async (name) => (isModelName(name) ? readModelFolder(name, join(root, name)) : undefined),
  };
}

async function readModelFolder(name: string, folder: string): Promise<ModelFolder | undefined> {
  if (!(await isFolder(folder))) return undefined;
  const entries = await list(folder);
  const versions = entries.filter((entry) => entry.isDirectory && VERSION.test(entry.name)).map((entry) => Number(entry.name));
  return {
    name,
    folder,
    config: entries.some((entry) => entry.name === 'config.pbtxt') ? await readText(join(folder, 'config.pbtxt')) : undefined,
    versions: versions.toSorted((a, b) => a - b).slice(-MOST_VERSIONS),
    mark: () => markOfTree(folder, versions),
    fileOf: (version, fileName) => fileIn(version, join(folder, String(version)), fileName),
    lines: async (fileName) => {
      if (/[\\/]|^\.\.?$/.test(fileName)) throw new SkerryError('STANDALONE_FOLDER', `${JSON.stringify(fileName)} is no file in ${folder}`);
      const text = await readText(join(folder, fileName));
      return text.split('\n').map((line) => line.replace(/\r$/, ''));
    },
  };
}

async function fileIn(version: number, folder: string, fileName: string): Promise<ModelFile> {
  const file = join(folder, fileName);
  const there = await isFile(file);
  if (!there) throw new SkerryError('STANDALONE_FOLDER', `there is no file ${file}`);
  return { version, file, mark: await markOf(folder) };
}

/** Changes with every file of the folder, weights that lie beside the model included; contents are not read. */
async function markOf(folder: string): Promise<Digest> {
  const hash = createHash('sha256').update(folder);
  for (const entry of await list(folder)) {
    const info = await stat(join(folder, entry.name)).catch(() => undefined);
    if (info !== undefined) hash.update(JSON.stringify([entry.name, info.size, info.mtimeMs, info.ino]));
  }
  return digestSchema.parse(hash.digest('hex'));
}

async function markOfTree(folder: string, versions: readonly number[]): Promise<string> {
  const marks: string[] = [await markOf(folder)];
  for (const version of versions) marks.push(await markOf(join(folder, String(version))));
  return marks.join();
}

interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** What a folder has, by name. A link counts as what it leads to. */
export async function list(folder: string): Promise<readonly Entry[]> {
  let entries;
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    throw unreadable(folder, cause);
  }
  const known = entries.map(async (entry) => ({
    name: entry.name,
    isDirectory: entry.isSymbolicLink() ? await isFolder(join(folder, entry.name)) : entry.isDirectory(),
  }));
  return (await Promise.all(known)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MOST_TEXT_BYTES) throw new SkerryError('INPUT_TOO_LARGE', `${file} has ${size} bytes, at most ${MOST_TEXT_BYTES} are read`);
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(path: string, cause: unknown): SkerryError {
  if (cause instanceof SkerryError) return cause;
  if (errnoOf(cause) === 'ENOENT') return new SkerryError('STANDALONE_FOLDER', `there is no ${path}`, { cause });
  return new SkerryError('IO_FAILED', `${path} could not be read: ${asSkerryError(cause).message}`, { cause });
}

export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

export async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}
