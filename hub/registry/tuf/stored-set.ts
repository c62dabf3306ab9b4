import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { CURRENT_FILE, currentOf, currentSchema, directorFileName, publicationOf, type Published } from './publication.js';
import type { TufStorage } from './storage.js';

/** Reads the published set back; `undefined` when nothing was ever published. Throws `TRUST_STATE_CORRUPT`. */
export async function loadPublished(storage: TufStorage): Promise<Published | undefined> {
  const pointer = await storage.get(CURRENT_FILE);
  if (pointer === undefined) return undefined;
  try {
    return await loadNamed(storage, pointer);
  } catch (cause) {
    throw new SkerryError('TRUST_STATE_CORRUPT', `the stored trust metadata is damaged: ${asSkerryError(cause).message}`, { cause });
  }
}

async function loadNamed(storage: TufStorage, pointer: Uint8Array): Promise<Published> {
  const current = parseJson(currentSchema, pointer, { what: CURRENT_FILE, maxBytes: LIMITS.trustFileBytes });
  const roots = new Map<number, Uint8Array>();
  for (let version = current.firstRoot; version <= current.root; version += 1) {
    roots.set(version, await required(storage, `${version}.root.json`));
  }
  const targets = async (role: string, version: number): Promise<MetadataFile<'targets'>> =>
    parseMetadata('targets', await required(storage, `${version}.${role}.json`), role);
  const roles = new Map<string, MetadataFile<'targets'>>();
  for (const [role, version] of Object.entries(current.roles)) roles.set(role, await targets(role, version));
  const director = await required(storage, directorFileName(current.director));
  if (sha256Hex(director) !== current.director) throw new SkerryError('TRUST_DIRECTOR_HASH', 'the director file is damaged');
  return {
    root: parseMetadata('root', await required(storage, `${current.root}.root.json`)),
    roots,
    targets: await targets('targets', current.targets),
    roles,
    snapshot: parseMetadata('snapshot', await required(storage, `${current.snapshot}.snapshot.json`)),
    timestamp: parseMetadata('timestamp', Buffer.from(current.timestamp, 'base64')),
    director,
  };
}

async function required(storage: TufStorage, file: string): Promise<Uint8Array> {
  const bytes = await storage.get(file);
  if (bytes === undefined) throw new SkerryError('TRUST_STATE_CORRUPT', `${file} is missing`);
  return bytes;
}

/**
 * Stores the files that a set has beyond the one before it, then commits by writing `current.json`. A crash before that leaves files
 * nobody names, which the next update of that version replaces.
 */
export async function commitPublished(storage: TufStorage, next: Published, before: Published | undefined): Promise<void> {
  const stored = before === undefined ? new Map<string, Uint8Array>() : publicationOf(before).files;
  for (const [name, bytes] of publicationOf(next).files) {
    if (name !== 'timestamp.json' && stored.get(name) !== bytes) await storage.put(name, bytes);
  }
  await storage.put(CURRENT_FILE, new TextEncoder().encode(JSON.stringify(currentOf(next))));
}

/** Deletes files of earlier sets: devices and publishers only ever ask for the newest of each role, and for every root. */
export async function dropSuperseded(storage: TufStorage, published: Published): Promise<void> {
  await storage.keepOnly(new Set([CURRENT_FILE, ...publicationOf(published).files.keys()]));
}
