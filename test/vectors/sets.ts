import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PROJECT_ROOT } from '../kit/processes.js';

/** The recorded sets of documents, a folder for each. */
export const VECTORS = path.join(PROJECT_ROOT, 'test', 'vectors');

/** The documents of a recorded set, by file name. */
export async function readSet(set: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const documents = new Map<string, Uint8Array>();
  for (const entry of await readdir(path.join(VECTORS, set), { withFileTypes: true })) {
    if (entry.isFile()) documents.set(entry.name, await readFile(path.join(VECTORS, set, entry.name)));
  }
  return documents;
}
