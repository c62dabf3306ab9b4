import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestSchema } from '#shared/bundle/names.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';

const MOST_TEXT_BYTES = 1024 * 1024;

export interface Entry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/** What a folder has, by name. A link counts as what it leads to. Errors: `STANDALONE_FOLDER`, `IO_FAILED`. */
export async function list(folder: string): Promise<readonly Entry[]> {
  let entries;
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    throw unreadable(folder, cause);
  }
  const known = entries.map(async (entry) => ({
    name: entry.name,
    isDirectory: entry.isSymbolicLink() ? (await kindOf(join(folder, entry.name))) === 'folder' : entry.isDirectory(),
  }));
  return (await Promise.all(known)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Text of a small file. Errors: `STANDALONE_FOLDER`, `IO_FAILED`, `INPUT_TOO_LARGE`. */
export async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MOST_TEXT_BYTES) throw new SkerryError('INPUT_TOO_LARGE', `${file} has ${size} bytes, at most ${MOST_TEXT_BYTES} are read`);
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Text of a file of a model's folder, which its configuration names. */
export async function readNamedText(folder: string, name: string): Promise<string> {
  if (/[\\/]|^\.\.?$/.test(name)) throw new SkerryError('STANDALONE_FOLDER', `${JSON.stringify(name)} is no file in ${folder}`);
  return readText(join(folder, name));
}

export async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return 'folder';
  return found?.isFile() === true ? 'file' : undefined;
}

/** Changes with every file of the folder, weights that lie beside a model included; contents are not read. */
export async function markOfFolder(folder: string): Promise<Digest> {
  const names = (await list(folder)).map(({ name }) => name);
  return markOf([folder, ...names], await Promise.all(names.map((name) => infoOf(join(folder, name)))));
}

export async function markOfFile(file: string): Promise<Digest> {
  return markOf([file], [await infoOf(file)]);
}

async function infoOf(path: string): Promise<unknown> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return undefined;
  // What lies in a folder below has a mark of its own.
  return info.isDirectory() ? 'folder' : [info.size, info.mtimeMs, info.ino];
}

function markOf(names: readonly string[], infos: readonly unknown[]): Digest {
  return digestSchema.parse(
    createHash('sha256')
      .update(JSON.stringify([names, infos]))
      .digest('hex'),
  );
}

function unreadable(path: string, cause: unknown): SkerryError {
  if (cause instanceof SkerryError) return cause;
  if (errnoOf(cause) === 'ENOENT') return new SkerryError('STANDALONE_FOLDER', `there is no ${path}`, { cause });
  return new SkerryError('IO_FAILED', `${path} could not be read: ${asSkerryError(cause).message}`, { cause });
}
