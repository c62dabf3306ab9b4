import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LoadOverride } from '#agent/serve/repository.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ModelFolder } from './layouts/layout.js';
import { folderSource } from './source.js';

/** Files that a client sent, as a folder of the model that lies in a temporary one until `release`. */
export interface WrittenFolder {
  readonly folder: ModelFolder | undefined;
  release(): Promise<void>;
}

/** `1/model.onnx`, `labels.txt`: one or two steps down, none of them up. */
const PATH = /^(?:[1-9]\d{0,14}\/)?[^/\\\p{Cc}]{1,255}$/u;

/** Writes the files of a request to load. Errors: `STANDALONE_CONFIG` for a path that is none. */
export async function writeOverride(model: string, { files }: Pick<LoadOverride, 'files'>): Promise<WrittenFolder> {
  for (const path of files.keys()) {
    if (!PATH.test(path) || path.split('/').some((step) => step === '..' || step === '.')) {
      throw new SkerryError('STANDALONE_CONFIG', `file:${path.slice(0, 200)} is no file of a model: file:VERSION/NAME`);
    }
  }
  const root = await mkdtemp(join(tmpdir(), 'skerry-serve-'));
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
    throw cause;
  }
}
