import { type EpochMillis, parseTimestamp } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { checkExpiry, type Kind, METADATA_CODES, type MetadataFile, parseMetadata, sha256Hex } from '../metadata.js';
import { delegatedRoleNames, checkDelegations } from '../model-role.js';
import { checkSignatures, type Delegator, isSigned, keysOfRole } from '../signatures.js';
import { type OfferedFiles, rollback, walkRoots } from './root-chain.js';

/** What a client trusts already; after the first update everything is there. */
export interface TrustedSet {
  readonly root: MetadataFile<'root'>;
  readonly timestamp?: MetadataFile<'timestamp'> | undefined;
  readonly snapshot?: MetadataFile<'snapshot'> | undefined;
  readonly targets?: MetadataFile<'targets'> | undefined;
  /** Roles of publishers and of their models, by name. Each was verified by the delegator in this set. */
  readonly roles: ReadonlyMap<string, MetadataFile<'targets'>>;
}

/** A consistent set: every file is the one its superior names. */
export interface CompleteSet extends TrustedSet {
  readonly timestamp: MetadataFile<'timestamp'>;
  readonly snapshot: MetadataFile<'snapshot'>;
  readonly targets: MetadataFile<'targets'>;
}

/** A publisher role whose newest file cannot be used. */
export interface UnavailableRole {
  readonly error: SkerryError;
  /** The newest file, where nothing is wrong with it but its date: it still says which targets are the role's. */
  readonly lapsed?: MetadataFile<'targets'>;
}

/** How far an update came. */
export interface UpdateWalk {
  /** Everything that is verified by now, for the client to keep whatever failed later (TUF 5.3.8, 5.4.5, 5.5.7, 5.6.6). */
  readonly trusted: TrustedSet;
  /** The roots that were followed, in order; the last one is in `trusted`. */
  readonly newRoots: readonly MetadataFile<'root'>[];
  /** The check that ended the walk; `undefined` when the top-level roles are up to date. */
  readonly failure: SkerryError | undefined;
  /** Publisher roles that could not be brought up to date. They matter to their own targets only. */
  readonly unavailable: ReadonlyMap<string, UnavailableRole>;
}

/**
 * The client workflow (TUF 1.0.x, 5.3 to 5.6) as a list of checks, each failing with its own code. Pure. The hub runs it on
 * what it is about to publish, the device before it hands the same files to the TUF library. `now` is what expiry is judged
 * by, and never less than the time at which the newest timestamp was signed; `undefined` leaves expiry out. A timestamp dated after
 * `latest` is refused: the clock of whoever signed it was wrong, and its time would be taken for the present.
 */
export function walkUpdate(trusted: TrustedSet, offered: OfferedFiles, now: EpochMillis | undefined, latest?: EpochMillis): UpdateWalk {
  const newRoots: MetadataFile<'root'>[] = [];
  const unavailable = new Map<string, UnavailableRole>();
  let set = trusted;
  try {
    for (const root of walkRoots(trusted.root, offered)) {
      newRoots.push(root);
      set = withRoot(set, root); // TUF 5.3.8
    }
    checkExpiry(set.root, now); // TUF 5.3.10
    const timestamp = walkTimestamp(set.root, set.timestamp, offered, now);
    checkNotAhead(timestamp, set.timestamp, latest);
    const time = laterTime(now, issuedAt(timestamp));
    for (const file of [set.root, timestamp]) checkExpiry(file, time);
    set = { ...set, timestamp }; // TUF 5.4.5
    const snapshot = walkSnapshot(set.root, timestamp, set.snapshot, offered, time);
    set = { ...set, snapshot }; // TUF 5.5.7
    const top = { role: 'targets', delegator: set.root, trusted: set.targets, trustedBy: trusted.root };
    const targets = walkTargets(top, snapshot, offered);
    checkExpiry(targets, time); // TUF 5.6.5
    const roles = walkRoles(targets, { snapshot, before: set, offered, now: time, roles: new Map(), unavailable });
    set = { ...set, targets, roles }; // TUF 5.6.6
    return { trusted: set, newRoots, failure: undefined, unavailable };
  } catch (cause) {
    return { trusted: set, newRoots, failure: asSkerryError(cause), unavailable };
  }
}

/** The walk of a repository over its own files: throws the first failure, also that of a publisher role. Expiry is left out. */
export function walkComplete(trusted: TrustedSet, offered: OfferedFiles): CompleteSet {
  const { trusted: set, failure, unavailable } = walkUpdate(trusted, offered, undefined);
  const [first] = unavailable.values();
  if (failure !== undefined || first !== undefined) throw failure ?? first?.error;
  const { root, timestamp, snapshot, targets, roles } = set;
  if (timestamp === undefined || snapshot === undefined || targets === undefined)
    throw new SkerryError('INTERNAL', 'a complete walk left a top-level role out');
  return { root, timestamp, snapshot, targets, roles };
}

/** When the hub signed a timestamp file. */
export function issuedAt(timestamp: MetadataFile<'timestamp'>): EpochMillis | undefined {
  const text = timestamp.metadata.signed.unrecognizedFields['issued_at'];
  return typeof text === 'string' ? parseTimestamp(text) : undefined;
}

/** One that was accepted before is not judged again. */
function checkNotAhead(
  timestamp: MetadataFile<'timestamp'>,
  trusted: MetadataFile<'timestamp'> | undefined,
  latest: EpochMillis | undefined,
): void {
  const signed = issuedAt(timestamp);
  if (latest === undefined || signed === undefined || signed <= latest || timestamp.version === trusted?.version) return;
  throw new SkerryError(
    'TRUST_SIGNED_IN_FUTURE',
    `timestamp version ${timestamp.version} is dated ${new Date(signed).toISOString()}, later than ${new Date(latest).toISOString()}`,
    { details: { version: timestamp.version } },
  );
}

/** A device whose clock is behind has at least the time at which the newest timestamp was signed. */
function laterTime(now: EpochMillis | undefined, signed: EpochMillis | undefined): EpochMillis | undefined {
  return now === undefined ? undefined : Math.max(now, signed ?? 0);
}

/**
 * The set under a new root. Files that its keys did not sign are dropped; and where it changed the keys of timestamp or
 * snapshot both files are, so that versions which somebody with stolen keys drove up block nothing (TUF 5.3.11).
 */
export function withRoot(set: TrustedSet, root: MetadataFile<'root'>): TrustedSet {
  const rotated = (['timestamp', 'snapshot'] as const).some((role) => !hasSameKeys(set.root, root, role));
  const targets = set.targets !== undefined && isSigned(root, set.targets) ? set.targets : undefined;
  return {
    root,
    timestamp: rotated ? undefined : set.timestamp,
    snapshot: rotated ? undefined : set.snapshot,
    targets,
    roles: targets === undefined ? new Map() : set.roles,
  };
}

function hasSameKeys(before: MetadataFile<'root'>, after: MetadataFile<'root'>, role: string): boolean {
  const [was, is] = [keysOfRole(before, role), keysOfRole(after, role)];
  const [old, next] = [new Set(was.keys.values()), new Set(is.keys.values())];
  return was.threshold === is.threshold && old.size === next.size && [...old].every((key) => next.has(key));
}

function walkTimestamp(
  root: MetadataFile<'root'>,
  trusted: MetadataFile<'timestamp'> | undefined,
  offered: OfferedFiles,
  now: EpochMillis | undefined,
): MetadataFile<'timestamp'> {
  const bytes = offered('timestamp.json') ?? missing('timestamp', 'timestamp', 'timestamp.json');
  const next = parseMetadata('timestamp', bytes);
  checkSignatures(root, next); // TUF 5.4.2
  const previous = trusted;
  if (previous !== undefined && next.version < previous.version) {
    throw rollback(next, `is older than version ${previous.version}, accepted before`); // TUF 5.4.3.1
  }
  const accepted = previous?.version === next.version ? previous : next;
  const before = previous?.metadata.signed.snapshotMeta.version ?? 0;
  if (accepted.metadata.signed.snapshotMeta.version < before) {
    throw rollback(next, `names a snapshot older than version ${before}, accepted before`); // TUF 5.4.3.2
  }
  checkExpiry(accepted, now); // TUF 5.4.4
  return accepted;
}

function walkSnapshot(
  root: MetadataFile<'root'>,
  timestamp: MetadataFile<'timestamp'>,
  trusted: MetadataFile<'snapshot'> | undefined,
  offered: OfferedFiles,
  now: EpochMillis | undefined,
): MetadataFile<'snapshot'> {
  const meta = timestamp.metadata.signed.snapshotMeta;
  const name = `${meta.version}.snapshot.json`;
  const bytes = kept(trusted, meta) ?? offered(name) ?? missing('snapshot', 'snapshot', name);
  checkHash('snapshot', 'snapshot', bytes, meta); // TUF 5.5.2
  const next = parseMetadata('snapshot', bytes);
  checkSignatures(root, next); // TUF 5.5.3
  if (next.version !== meta.version) throw rollback(next, `is not version ${meta.version}, which the timestamp names`); // TUF 5.5.4
  for (const [file, before] of Object.entries(trusted?.metadata.signed.meta ?? {})) {
    const after = next.metadata.signed.meta[file];
    if (after === undefined) throw rollback(next, `no longer lists ${file}`); // TUF 5.5.5
    if (after.version < before.version) throw rollback(next, `takes ${file} back from version ${before.version} to ${after.version}`);
  }
  checkExpiry(next, now); // TUF 5.5.6
  return next;
}

/** A role, the file that delegates to it, and what was accepted of both before. */
interface WalkedRole {
  readonly role: string;
  readonly delegator: Delegator;
  readonly trusted: MetadataFile<'targets'> | undefined;
  /** The delegator by which `trusted` was verified. */
  readonly trustedBy: Delegator | undefined;
}

function walkTargets(
  { role, delegator, trusted, trustedBy }: WalkedRole,
  snapshot: MetadataFile<'snapshot'>,
  offered: OfferedFiles,
): MetadataFile<'targets'> {
  const listed = `${role}.json`;
  const metas = snapshot.metadata.signed.meta;
  const meta = Object.hasOwn(metas, listed) ? metas[listed] : undefined;
  if (meta === undefined) return missing('targets', role, `${listed} in the snapshot`);
  // Nothing changed since it was verified: a fleet's many roles cost only what is new of them.
  if (trusted !== undefined && delegator === trustedBy && kept(trusted, meta) !== undefined) return trusted;
  const name = `${meta.version}.${listed}`;
  const bytes = kept(trusted, meta) ?? offered(name) ?? missing('targets', role, name);
  checkHash('targets', role, bytes, meta); // TUF 5.6.2
  const next = parseMetadata('targets', bytes, role);
  checkSignatures(delegator, next); // TUF 5.6.3
  if (next.version !== meta.version) throw rollback(next, `is not version ${meta.version}, which the snapshot names`); // TUF 5.6.4
  checkDelegations(next);
  return next;
}

/** What walking the roles below the top goes by, and what it comes to. */
interface RolesWalk {
  readonly snapshot: MetadataFile<'snapshot'>;
  readonly before: TrustedSet;
  readonly offered: OfferedFiles;
  readonly now: EpochMillis | undefined;
  readonly roles: Map<string, MetadataFile<'targets'>>;
  readonly unavailable: Map<string, UnavailableRole>;
}

/**
 * Every publisher and every model of one by itself. A role that cannot be used goes on with the file accepted before, if its delegation
 * still holds for that, and is named: nobody else's targets wait for it.
 */
function walkRoles(targets: MetadataFile<'targets'>, walk: RolesWalk): ReadonlyMap<string, MetadataFile<'targets'>> {
  for (const publisher of delegatedRoleNames(targets)) {
    const file = walkRole(publisher, targets, walk.before.targets, walk);
    const trustedBy = walk.before.roles.get(publisher);
    for (const model of file === undefined ? [] : delegatedRoleNames(file)) walkRole(model, file, trustedBy, walk);
  }
  return walk.roles;
}

/** Returns the file by whose delegations it goes on: the one in the set, else a verified one that only lapsed. */
function walkRole(
  role: string,
  delegator: MetadataFile<'targets'> | undefined,
  trustedBy: MetadataFile<'targets'> | undefined,
  { snapshot, before, offered, now, roles, unavailable }: RolesWalk,
): MetadataFile<'targets'> | undefined {
  if (delegator === undefined) return undefined;
  const trusted = before.roles.get(role);
  let verified: MetadataFile<'targets'> | undefined;
  try {
    verified = walkTargets({ role, delegator, trusted, trustedBy }, snapshot, offered);
    checkExpiry(verified, now); // TUF 5.6.5
    roles.set(role, verified);
    return verified;
  } catch (cause) {
    unavailable.set(role, { error: asSkerryError(cause), ...(verified === undefined ? {} : { lapsed: verified }) });
    const holds = trusted !== undefined && (trusted === verified || isSigned(delegator, trusted)) ? trusted : undefined;
    if (holds !== undefined) roles.set(role, holds);
    return holds ?? verified;
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
