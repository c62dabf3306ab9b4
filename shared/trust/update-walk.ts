import type { EpochMillis } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { checkExpiry, checkSignatures, type Kind, METADATA_CODES, type MetadataFile, parseMetadata, sha256Hex } from './metadata.js';

/** Longest chain of new roots followed in one update (TUF 5.3.3 asks for a bound). */
export const MAX_ROOT_STEPS = 256;

/** What a client trusts already; after the first update everything is there. */
export interface TrustedSet {
  readonly root: MetadataFile<'root'>;
  readonly timestamp?: MetadataFile<'timestamp'> | undefined;
  readonly snapshot?: MetadataFile<'snapshot'> | undefined;
  readonly targets?: MetadataFile<'targets'> | undefined;
  /** Delegated publisher roles by name. */
  readonly roles: ReadonlyMap<string, MetadataFile<'targets'>>;
}

/** A consistent set: every file is the one its superior names. */
export interface CompleteSet {
  readonly root: MetadataFile<'root'>;
  readonly timestamp: MetadataFile<'timestamp'>;
  readonly snapshot: MetadataFile<'snapshot'>;
  readonly targets: MetadataFile<'targets'>;
  readonly roles: ReadonlyMap<string, MetadataFile<'targets'>>;
}

/** Reads an offered file by its repository name (`2.root.json`, `timestamp.json`); `undefined` when it is not offered. */
export type OfferedFiles = (name: string) => Uint8Array | undefined;

/**
 * The client workflow (TUF 1.0.x, 5.3 to 5.6) as a list of checks, each failing with its own code. Pure. The hub runs it on
 * what it is about to publish, the device before it hands the same files to the TUF library.
 */
export function walkUpdate(trusted: TrustedSet, offered: OfferedFiles, now: EpochMillis): CompleteSet {
  const root = walkRoots(trusted.root, offered);
  checkExpiry(root, now); // TUF 5.3.10
  const timestamp = walkTimestamp(root, trusted.timestamp, offered, now);
  const snapshot = walkSnapshot(root, timestamp, trusted.snapshot, offered, now);
  const targets = walkTargets(root, snapshot, 'targets', trusted.targets, offered, now);
  const roles = new Map<string, MetadataFile<'targets'>>();
  for (const name of delegatedRoleNames(targets)) {
    roles.set(name, walkTargets(targets, snapshot, name, trusted.roles.get(name), offered, now));
  }
  return { root, timestamp, snapshot, targets, roles };
}

/** Names of the publisher roles that a top-level targets file delegates to, most trusted first. */
export function delegatedRoleNames(targets: MetadataFile<'targets'>): readonly string[] {
  return Object.keys(targets.metadata.signed.delegations?.roles ?? {});
}

function walkRoots(trusted: MetadataFile<'root'>, offered: OfferedFiles): MetadataFile<'root'> {
  let root = trusted;
  for (let step = 0; step < MAX_ROOT_STEPS; step += 1) {
    const bytes = offered(`${root.version + 1}.root.json`);
    if (bytes === undefined) break;
    root = nextRoot(root, bytes);
  }
  return root;
}

/** Checks one root against the one before it and itself; returns it (TUF 5.3.4, 5.3.5). */
export function nextRoot(previous: MetadataFile<'root'>, bytes: Uint8Array): MetadataFile<'root'> {
  const next = parseMetadata('root', bytes);
  if (next.version !== previous.version + 1) {
    throw refusal(next, 'rollback', `is offered as version ${previous.version + 1}`);
  }
  checkSignatures(previous, next);
  checkSignatures(next, next);
  return next;
}

function walkTimestamp(
  root: MetadataFile<'root'>,
  trusted: MetadataFile<'timestamp'> | undefined,
  offered: OfferedFiles,
  now: EpochMillis,
): MetadataFile<'timestamp'> {
  const bytes = offered('timestamp.json') ?? missing('timestamp', 'timestamp', 'timestamp.json');
  const next = parseMetadata('timestamp', bytes);
  checkSignatures(root, next); // TUF 5.4.2
  const previous = stillSigned(root, trusted);
  if (previous !== undefined && next.version < previous.version) {
    throw refusal(next, 'rollback', `is older than version ${previous.version}, accepted before`); // TUF 5.4.3.1
  }
  const accepted = previous?.version === next.version ? previous : next;
  const before = previous?.metadata.signed.snapshotMeta.version ?? 0;
  if (accepted.metadata.signed.snapshotMeta.version < before) {
    throw refusal(next, 'rollback', `names a snapshot older than version ${before}, accepted before`); // TUF 5.4.3.2
  }
  checkExpiry(accepted, now); // TUF 5.4.4
  return accepted;
}

function walkSnapshot(
  root: MetadataFile<'root'>,
  timestamp: MetadataFile<'timestamp'>,
  trusted: MetadataFile<'snapshot'> | undefined,
  offered: OfferedFiles,
  now: EpochMillis,
): MetadataFile<'snapshot'> {
  const meta = timestamp.metadata.signed.snapshotMeta;
  const name = `${meta.version}.snapshot.json`;
  const bytes = kept(trusted, meta) ?? offered(name) ?? missing('snapshot', 'snapshot', name);
  checkHash('snapshot', 'snapshot', bytes, meta); // TUF 5.5.2
  const next = parseMetadata('snapshot', bytes);
  checkSignatures(root, next); // TUF 5.5.3
  if (next.version !== meta.version) throw refusal(next, 'rollback', `is not version ${meta.version}, which the timestamp names`); // TUF 5.5.4
  for (const [file, before] of Object.entries(stillSigned(root, trusted)?.metadata.signed.meta ?? {})) {
    const after = next.metadata.signed.meta[file];
    if (after === undefined) throw refusal(next, 'rollback', `no longer lists ${file}`); // TUF 5.5.5
    if (after.version < before.version)
      throw refusal(next, 'rollback', `takes ${file} back from version ${before.version} to ${after.version}`);
  }
  checkExpiry(next, now); // TUF 5.5.6
  return next;
}

function walkTargets(
  delegator: MetadataFile<'root'> | MetadataFile<'targets'>,
  snapshot: MetadataFile<'snapshot'>,
  role: string,
  trusted: MetadataFile<'targets'> | undefined,
  offered: OfferedFiles,
  now: EpochMillis,
): MetadataFile<'targets'> {
  const listed = `${role}.json`;
  const metas = snapshot.metadata.signed.meta;
  const meta = Object.hasOwn(metas, listed) ? metas[listed] : undefined;
  if (meta === undefined) return missing('targets', role, `${listed} in the snapshot`);
  const name = `${meta.version}.${listed}`;
  const bytes = kept(trusted, meta) ?? offered(name) ?? missing('targets', role, name);
  checkHash('targets', role, bytes, meta); // TUF 5.6.2
  const next = parseMetadata('targets', bytes, role);
  checkSignatures(delegator, next); // TUF 5.6.3
  if (next.version !== meta.version) throw refusal(next, 'rollback', `is not version ${meta.version}, which the snapshot names`); // TUF 5.6.4
  checkExpiry(next, now); // TUF 5.6.5
  if (role !== 'targets' && next.metadata.signed.delegations !== undefined) {
    throw new SkerryError('TRUST_TARGETS_FORMAT', `publisher role ${role} delegates further, which is not allowed`, { details: { role } });
  }
  return next;
}

/** TUF 5.3.11: after the root changed a role's keys, files signed by the old ones protect nothing and block nothing. */
function stillSigned<K extends 'timestamp' | 'snapshot'>(
  root: MetadataFile<'root'>,
  file: MetadataFile<K> | undefined,
): MetadataFile<K> | undefined {
  if (file === undefined) return undefined;
  try {
    checkSignatures(root, file);
    return file;
  } catch {
    return undefined;
  }
}

interface ExpectedFile {
  readonly version: number;
  readonly length?: number;
  readonly hashes?: Record<string, string>;
}

/** The file accepted before, when it is still the one that is named. */
function kept(trusted: MetadataFile<Kind> | undefined, expected: ExpectedFile): Uint8Array | undefined {
  return trusted?.version === expected.version && isFile(trusted.bytes, expected) ? trusted.bytes : undefined;
}

function isFile(bytes: Uint8Array, expected: ExpectedFile): boolean {
  return bytes.byteLength === expected.length && sha256Hex(bytes) === expected.hashes?.['sha256'];
}

function checkHash(kind: 'snapshot' | 'targets', role: string, bytes: Uint8Array, expected: ExpectedFile): void {
  if (isFile(bytes, expected)) return;
  throw new SkerryError(METADATA_CODES[kind].hash, `${role} metadata version ${expected.version} is not the file whose hash is signed`, {
    details: { role, version: expected.version, expected: expected.hashes?.['sha256'], actual: sha256Hex(bytes) },
  });
}

function missing(kind: Kind, role: string, name: string): never {
  throw new SkerryError(METADATA_CODES[kind].missing, `${name} is missing`, { details: { role, file: name } });
}

function refusal(file: MetadataFile<Kind>, why: 'rollback', says: string): SkerryError {
  return new SkerryError(METADATA_CODES[file.kind][why], `${file.role} metadata version ${file.version} ${says}`, {
    details: { role: file.role, version: file.version },
  });
}
