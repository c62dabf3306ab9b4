import { dirname, join } from 'node:path';
import { markOfFile, markOfFolder, readNamedText } from './files.js';
import type { ModelFolder } from './layout.js';
import type { Beside } from './versioned.js';

const NOTHING: Beside = { config: undefined, labels: undefined };

/** A model of one file, which is its version 1: an ONNX file by itself, or `model.onnx` in a folder, as KServe mounts it. */
export function singleFile(name: string, file: string, beside = NOTHING): ModelFolder {
  const folder = dirname(file);
  return {
    name,
    folder,
    ...beside,
    versions: [1],
    skipped: [],
    mark: async () => [await markOfFile(file), beside === NOTHING ? '' : await markOfFolder(folder)].join(),
    fileOf: async (version, named) => {
      const found = named === undefined ? file : join(folder, named);
      return { version, file: found, mark: await markOfFile(found) };
    },
    text: (fileName) => readNamedText(folder, fileName),
  };
}
