import { SkerryError } from '#shared/kernel/errors.js';
import type { Publication } from './tuf/publication.js';

/**
 * A published metadata file: by its repository name (`3.root.json`, `timestamp.json`), or the newest of a role by the role's
 * (`root.json`, `alice.json`); `index.json` lists the names. Throws `API_NOT_FOUND`.
 */
export function metadataFile(publication: Publication | undefined, name: string): Uint8Array {
  if (publication !== undefined) {
    if (name === 'index.json') return new TextEncoder().encode(JSON.stringify(publication.index));
    const file = publication.files.get(name) ?? newest(publication.files, name);
    if (file !== undefined) return file;
  }
  throw new SkerryError('API_NOT_FOUND', `no metadata file ${name} is published`);
}

function newest(files: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array | undefined {
  let best: { version: number; bytes: Uint8Array } | undefined;
  for (const [candidate, bytes] of files) {
    const match = /^(\d+)\.(.+)$/.exec(candidate);
    if (match?.[2] !== name) continue;
    const version = Number(match[1]);
    if (best === undefined || version > best.version) best = { version, bytes };
  }
  return best?.bytes;
}
