import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LoadOverride } from '#agent/serve/repository.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { ModelFolder } from './layouts/layout.js';
import { folderSource } from './source.js';

/** Files that a client sent, as a folder of the model that lies in a temporary one until `release`. */
export interface WrittenFolder {
  readonly folder: ModelFolder | undefined;
  release(): Promise<void>;
}

/** `1/model.onnx`, `labels.txt`: one or two steps down, none of them up. */
const PATH = /^(?:[1-9]\d{0,14}\/)?[^/\\\p{Cc}]+$/u;

/** Longest name of a file that every file system takes. */
const NAME_BYTES = 255;

/** Writes the files of a request to load. Errors: `STANDALONE_CONFIG` for a path that is none, `IO_FAILED`. */
export async function writeOverride(model: string, { files }: Pick<LoadOverride, 'files'>): Promise<WrittenFolder> {
  for (const path of files.keys()) {
    const shown = `file:${path.slice(0, 200)}`;
    const steps = path.split('/');
    if (!PATH.test(path) || steps.some((step) => step === '..' || step === '.' || Buffer.byteLength(step) > NAME_BYTES)) {
      throw new SkerryError('STANDALONE_CONFIG', `${shown} is no file of a model: file:VERSION/NAME`);
    }
    const [folder = ''] = steps;
    if (steps.length > 1 && files.has(folder)) {
      throw new SkerryError('STANDALONE_CONFIG', `file:${folder} cannot be a file, since ${shown} lies in it`);
    }
  }
  const root = await mkdtemp(join(tmpdir(), await ownPrefix()));
  const release = (): Promise<void> => rm(root, { recursive: true, force: true });
  try {
    for (const [path, bytes] of files) {
      const file = join(root, model, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    return { folder: await folderSource(root).read(model), release };
  } catch (cause) {
    await release();
    if (cause instanceof SkerryError) throw cause;
    throw new SkerryError('IO_FAILED', `the files of model ${model} could not be written: ${asSkerryError(cause).message}`, { cause });
  }
}

export const OVERRIDE_PREFIX = 'skerry-serve-';

/** Folders of this process begin so. Numbers of processes mean something within their namespace only. */
async function ownPrefix(): Promise<string> {
  return `${OVERRIDE_PREFIX}${await namespace()}-${process.pid}-`;
}

async function namespace(): Promise<string> {
  const link = await readlink('/proc/self/ns/pid').catch(() => '');
  return /\d+/.exec(link)?.[0] ?? '0';
}

/** Takes away the folders of processes that were killed. Nothing is wrong where that fails. */
export async function clearAbandoned(): Promise<void> {
  const ours = `${OVERRIDE_PREFIX}${await namespace()}-`;
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names) {
    const pid = name.startsWith(ours) ? Number(/^\d+(?=-)/.exec(name.slice(ours.length))?.[0]) : Number.NaN;
    if (Number.isSafeInteger(pid) && pid > 0 && !isRunning(pid)) {
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return errnoOf(cause) !== 'ESRCH';
  }
}
