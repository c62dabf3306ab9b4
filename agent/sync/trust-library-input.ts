import { Metadata, MetadataKind } from '@tufjs/models';
import { generateSigningKey, tufKeyObject } from '#shared/trust/keys.js';
import { type JsonObject, type Kind, type MetadataFile, readObject, signMetadata } from '#shared/trust/metadata.js';
import { goodSignatures, keysOfRole, readSignatures } from '#shared/trust/signatures.js';

// What the TUF library is given to read. It refuses a whole file for one signature or key that it does not understand, where
// the specification passes over those. So it gets what it can read, and never anything that could make it accept more:
// signatures are only taken away, and a root that it cannot hold at all is replaced by its readable part, once our own walk
// has verified the original.

interface LibraryRoots {
  readonly first: Uint8Array;
  readonly next: ReadonlyMap<string, Uint8Array>;
}

/** The trusted root and those to follow from it; or, where one is not readable, the readable part of the last one alone. */
export function rootsForLibrary(trusted: MetadataFile<'root'>, newRoots: readonly MetadataFile<'root'>[]): LibraryRoots {
  const all = [trusted, ...newRoots];
  const copies = all.map((root, index) => readableCopy(root, all.slice(Math.max(0, index - 1), index + 1)));
  if (copies.every(isReadableRoot)) {
    const next = newRoots.map(({ version }, index): [string, Uint8Array] => [
      `${version}.root.json`,
      copies[index + 1] ?? new Uint8Array(),
    ]);
    return { first: copies[0] ?? trusted.bytes, next: new Map(next) };
  }
  return { first: readablePart(all.at(-1) ?? trusted), next: new Map() };
}

/** The timestamp with the signatures that the root asks for. */
export function readableTimestamp(root: MetadataFile<'root'>, timestamp: MetadataFile<'timestamp'>): Uint8Array {
  return readableCopy(timestamp, [root]);
}

/** The file itself where nothing had to be left out; else with those signatures that keys of `delegators` made. */
function readableCopy(file: MetadataFile<Kind>, delegators: readonly MetadataFile<'root'>[]): Uint8Array {
  const read = readSignatures(file);
  const isPlain = read.length === file.signatures.length && new Set(read.map(({ keyid }) => keyid)).size === read.length;
  if (isPlain) return file.bytes;
  const good = delegators.flatMap((root) => goodSignatures(keysOfRole(root, file.role), file));
  const signatures = new Map(good.map(({ keyid, sig }) => [keyid, { keyid, sig }]));
  return encode({ signatures: [...signatures.values()], signed: file.signed });
}

function isReadableRoot(bytes: Uint8Array): boolean {
  try {
    Metadata.fromJSON(MetadataKind.Root, readObject(bytes, 'root', 'TRUST_REFUSED'));
    return true;
  } catch {
    return false;
  }
}

/** The top-level roles of a root with the keys that can be used, under a root key made for this one reading. */
function readablePart(root: MetadataFile<'root'>): Uint8Array {
  const key = generateSigningKey();
  const keys: JsonObject = { [key.keyId]: { ...tufKeyObject(key.publicKey), keyval: { public: key.publicKey } } };
  const roles: JsonObject = { root: { keyids: [key.keyId], threshold: 1 } };
  for (const name of ['timestamp', 'snapshot', 'targets'] as const) {
    const role = keysOfRole(root, name);
    for (const [id, publicKey] of role.keys) keys[id] = { ...tufKeyObject(publicKey), keyval: { public: publicKey } };
    roles[name] = { keyids: [...role.keys.keys()], threshold: role.threshold };
  }
  return signMetadata('root', { ...root.signed, keys, roles }, [key]).bytes;
}

function encode(file: JsonObject): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(file));
}
