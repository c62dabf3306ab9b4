import { SkerryError } from '#shared/kernel/errors.js';
import { type Kind, METADATA_CODES, type MetadataFile, parseMetadata } from '../metadata.js';
import { checkSignatures } from '../signatures.js';

/** Longest chain of new roots followed in one update (TUF 5.3.3 asks for a bound). */
const MAX_ROOT_STEPS = 256;

/** Reads an offered file by its repository name (`2.root.json`, `timestamp.json`); `undefined` when it is not offered. */
export type OfferedFiles = (name: string) => Uint8Array | undefined;

/** The roots that follow the trusted one, in order, as far as they are offered. */
export function* walkRoots(trusted: MetadataFile<'root'>, offered: OfferedFiles): Generator<MetadataFile<'root'>> {
  let root = trusted;
  for (let step = 0; step < MAX_ROOT_STEPS; step += 1) {
    const bytes = offered(`${root.version + 1}.root.json`);
    if (bytes === undefined) return;
    root = nextRoot(root, bytes);
    yield root;
  }
}

/** Checks one root against the one before it and itself; returns it (TUF 5.3.4, 5.3.5). */
export function nextRoot(previous: MetadataFile<'root'>, bytes: Uint8Array): MetadataFile<'root'> {
  const next = parseMetadata('root', bytes);
  if (next.version !== previous.version + 1) {
    throw rollback(next, `is offered as version ${previous.version + 1}`);
  }
  checkSignatures(previous, next);
  checkSignatures(next, next);
  return next;
}

/** A file that is not the version it has to be; its code is the one of its kind. */
export function rollback(file: MetadataFile<Kind>, says: string): SkerryError {
  return new SkerryError(METADATA_CODES[file.kind].rollback, `${file.role} metadata version ${file.version} ${says}`, {
    details: { role: file.role, version: file.version },
  });
}
