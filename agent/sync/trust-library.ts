import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Metadata, MetadataKind, type Targets } from '@tufjs/models';
import { type Fetcher, Updater } from 'tuf-js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { type MetadataFile, readObject } from '#shared/trust/metadata.js';
import { publisherOf } from '#shared/trust/role-name.js';
import { isSigned } from '#shared/trust/signatures.js';
import { type TrustedSet, type UnavailableRole, type UpdateWalk, withRoot } from '#shared/trust/decide/update-walk.js';
import { readableTimestamp, rootsForLibrary } from './trust-library-input.js';
import type { MirroredFiles } from './trust-mirror.js';

// The second verifier: the TUF library reads the same files as our own walk. A role counts once both accept it.

const BASE_URL = 'https://mirror.invalid/';

/** What both verifiers accept. */
interface Agreed {
  readonly trusted: TrustedSet;
  readonly unavailable: ReadonlyMap<string, UnavailableRole>;
  /** Set where the library refused what our own walk accepted. */
  readonly failure: SkerryError | undefined;
}

/** Runs the library over what the walk accepted, in the empty folder `path`, and returns what both accept, role by role. */
export async function agree(path: string, before: TrustedSet, walk: UpdateWalk, files: MirroredFiles, now: EpochMillis): Promise<Agreed> {
  const library = await runLibrary(path, before, walk, files);
  let set = before;
  for (const root of walk.newRoots.filter(({ version }) => version <= library.root)) set = withRoot(set, root);
  const refused = (what: string): Agreed => ({
    trusted: set,
    unavailable: new Map(),
    failure: new SkerryError('TRUST_REFUSED', `the TUF library refuses ${what}: ${library.reason ?? 'it read another file'}`),
  });
  const { root, timestamp, snapshot, targets } = walk.trusted;
  if (set.root.version !== root.version) return refused(`root version ${set.root.version + 1}`);
  if (!isSame(library.timestamp, timestamp === undefined ? undefined : readableTimestamp(root, timestamp))) return refused('the timestamp');
  set = { ...set, timestamp };
  if (!isSame(library.snapshot, snapshot?.bytes)) return refused('the snapshot');
  set = { ...set, snapshot };
  if (!isSame(library.targets, targets?.bytes)) return refused('the targets');
  if (targets === undefined || snapshot === undefined)
    return { trusted: { ...set, targets }, unavailable: walk.unavailable, failure: undefined };
  return { ...agreeOnRoles({ ...set, targets }, snapshot, targets, walk, now), failure: undefined };
}

interface LibraryResult {
  readonly root: number;
  readonly timestamp: Uint8Array | undefined;
  readonly snapshot: Uint8Array | undefined;
  readonly targets: Uint8Array | undefined;
  /** Why it stopped before the end. */
  readonly reason: string | undefined;
}

async function runLibrary(path: string, before: TrustedSet, walk: UpdateWalk, files: MirroredFiles): Promise<LibraryResult> {
  const { first, next } = rootsForLibrary(before.root, walk.newRoots);
  // TUF 5.3.11: what the new root dropped, the library does not get either.
  const { timestamp, snapshot, targets } = walk.newRoots.reduce(withRoot, before);
  const { root } = walk.trusted;
  const write = async (name: string, bytes: Uint8Array | undefined): Promise<void> => {
    if (bytes !== undefined) await writeFile(join(path, name), bytes);
  };
  await write('root.json', first);
  await write('timestamp.json', timestamp === undefined ? undefined : readableTimestamp(root, timestamp));
  await write('snapshot.json', snapshot?.bytes);
  await write('targets.json', targets?.bytes);
  const mirrored = new Map([...files, ...next]);
  const accepted = walk.trusted.timestamp;
  if (accepted !== undefined) mirrored.set('timestamp.json', readableTimestamp(root, accepted));
  const reason = await refresh(path, mirrored, next.size);
  const rootBytes = await read(path, 'root');
  return {
    root: versionOf(rootBytes),
    timestamp: await read(path, 'timestamp'),
    snapshot: await read(path, 'snapshot'),
    targets: await read(path, 'targets'),
    reason,
  };
}

/** Returns why the library stopped; `undefined` when it came to the end. */
async function refresh(path: string, files: MirroredFiles, rotations: number): Promise<string | undefined> {
  try {
    const updater = new Updater({
      metadataDir: path,
      metadataBaseUrl: BASE_URL,
      fetcher: mirrorFetcher(files),
      config: {
        // Exactly the roots that are there: the library never has to be told that the next one is not.
        maxRootRotations: rotations,
        rootMaxLength: LIMITS.trustFileBytes,
        timestampMaxLength: LIMITS.trustFileBytes,
        snapshotMaxLength: LIMITS.trustFileBytes,
        targetsMaxLength: LIMITS.trustFileBytes,
      },
    });
    await updater.refresh();
    return undefined;
  } catch (cause) {
    return asSkerryError(cause).message;
  }
}

/** Roles of publishers and models one by one: the library's own models check signatures, version, hash and date of each new file. */
function agreeOnRoles(
  set: TrustedSet,
  snapshot: MetadataFile<'snapshot'>,
  targets: MetadataFile<'targets'>,
  walk: UpdateWalk,
  now: EpochMillis,
): { readonly trusted: TrustedSet; readonly unavailable: ReadonlyMap<string, UnavailableRole> } {
  const roles = new Map<string, MetadataFile<'targets'>>();
  const unavailable = new Map(walk.unavailable);
  const readers = new Map<MetadataFile<'targets'>, Metadata<Targets>>();
  const readerOf = (file: MetadataFile<'targets'>): Metadata<Targets> => {
    const reader = readers.get(file) ?? readTargets(file.bytes);
    readers.set(file, reader);
    return reader;
  };
  // A publisher comes before its models: they are judged by the file of it that both verifiers accept.
  for (const [name, file] of walk.trusted.roles) {
    const publisher = publisherOf(name);
    const delegator = name === publisher ? targets : (roles.get(publisher) ?? walk.unavailable.get(publisher)?.lapsed);
    if (delegator === undefined) continue;
    const known = set.roles.get(name);
    try {
      if (file !== known) checkByLibrary(readerOf(delegator), snapshot, file, now);
      roles.set(name, file);
    } catch (cause) {
      const message = `the TUF library does not accept role ${name}: ${asSkerryError(cause).message}`;
      unavailable.set(name, { error: new SkerryError('TRUST_REFUSED', message, { cause }) });
      if (known !== undefined && isSigned(delegator, known)) roles.set(name, known);
    }
  }
  return { trusted: { ...set, roles }, unavailable };
}

function checkByLibrary(
  delegator: Metadata<Targets>,
  snapshot: MetadataFile<'snapshot'>,
  file: MetadataFile<'targets'>,
  now: EpochMillis,
): void {
  const role = readTargets(file.bytes);
  const meta = snapshot.metadata.signed.meta[`${file.role}.json`];
  if (meta === undefined) throw new SkerryError('TRUST_REFUSED', 'the snapshot does not list it');
  meta.verify(Buffer.from(file.bytes));
  delegator.verifyDelegate(file.role, role);
  if (role.signed.version !== meta.version) throw new SkerryError('TRUST_REFUSED', 'the snapshot names another version');
  if (role.signed.isExpired(new Date(now))) throw new SkerryError('TRUST_REFUSED', 'it has expired');
}

function readTargets(bytes: Uint8Array): Metadata<Targets> {
  return Metadata.fromJSON(MetadataKind.Targets, readObject(bytes, 'targets', 'TRUST_REFUSED'));
}

/** The version of the root that the library came to; 0 where it left none. */
function versionOf(root: Uint8Array | undefined): number {
  return root === undefined ? 0 : Metadata.fromJSON(MetadataKind.Root, readObject(root, 'root', 'TRUST_REFUSED')).signed.version;
}

async function read(path: string, role: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(join(path, `${role}.json`));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

function isSame(library: Uint8Array | undefined, own: Uint8Array | undefined): boolean {
  return library === undefined || own === undefined ? library === own : Buffer.compare(library, own) === 0;
}

function mirrorFetcher(files: MirroredFiles): Fetcher {
  const fetched = (url: string, maxLength: number): Buffer => {
    const name = url.slice(BASE_URL.length);
    const bytes = files.get(name);
    if (bytes === undefined) throw new SkerryError('TRUST_REFUSED', `${name} is not mirrored`);
    if (bytes.byteLength > maxLength) throw new SkerryError('TRUST_REFUSED', `${name} is larger than the ${maxLength} bytes announced`);
    return Buffer.from(bytes);
  };
  return {
    downloadBytes: async (url, maxLength) => fetched(url, maxLength),
    // Targets travel as blobs, never through the TUF library.
    downloadFile: async (url) => {
      throw new SkerryError('INTERNAL', `the TUF library asked for the file ${url}`);
    },
  };
}
