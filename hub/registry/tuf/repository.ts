import type { Clock } from '#shared/kernel/clock.js';
import { days, type EpochMillis, type Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import { checkExpiry, type MetadataFile, parseMetadata } from '#shared/trust/metadata.js';
import { checkSignatures } from '#shared/trust/signatures.js';
import { findTarget, type ListedTarget } from '#shared/trust/target-lookup.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import { checkDelegations, delegatedRoleNames } from '#shared/trust/model-role.js';
import { nextRoot } from '#shared/trust/decide/root-chain.js';
import { issuedAt, walkComplete } from '#shared/trust/decide/update-walk.js';
import { expiriesOf, type RoleExpiry } from './decide/expiry.js';
import type { HubKeys } from './hub-keys.js';
import { nextSnapshot, nextTimestamp } from './hub-signing.js';
import { type Publication, publicationOf, type Published } from './publication.js';
import {
  checkDirector,
  checkHubKeys,
  checkKeepsModels,
  checkKeepsTargets,
  checkNextVersion,
  checkTargetRules,
} from './decide/publication-rules.js';
import { commitPublished, dropSuperseded, loadPublished } from './stored-set.js';
import { lostFiles, lostVersions, whatWasLost } from './decide/lost.js';
import type { TufStorage } from './storage.js';

export interface TufRepositoryOptions {
  readonly storage: TufStorage;
  readonly keys: HubKeys;
  readonly fleet: string;
  readonly clock: Clock;
  /** Says whether the clock may date signatures, and hears of each; left out where nobody guards the clock. */
  readonly guard?: { readonly require: () => void; readonly signed: (at: EpochMillis) => void };
  /** How long a signed timestamp holds (default 1 day); sign again much more often, hourly say. */
  readonly timestampLifetime?: Millis;
  /** How long a signed snapshot holds (default 7 days); signed again when half of it is gone. */
  readonly snapshotLifetime?: Millis;
}

/**
 * The hub's TUF repository: takes over what publishers signed after checking all of it again, and signs snapshot and
 * timestamp over it.
 *
 * INVARIANTS: one change at a time; what `publication` returns passed the same checks a device makes; an update is in force
 * once `current.json` is written and not before.
 */
export class TufRepository {
  readonly #options: Required<TufRepositoryOptions>;
  readonly #listeners = new Set<(publication: Publication) => void>();
  #published: Published | undefined;
  /** Versions that this hub signed and lost. */
  #floors = { snapshot: 0, timestamp: 0 };
  readonly #queue = new ExclusiveQueue();

  private constructor(options: Required<TufRepositoryOptions>, published: Published | undefined) {
    this.#options = options;
    this.#published = published;
  }

  /** Loads what was published before; throws `TRUST_STATE_CORRUPT` when a stored file is missing or damaged. */
  static async open(options: TufRepositoryOptions): Promise<TufRepository> {
    const guard = { require: () => undefined, signed: () => undefined };
    const full = { guard, timestampLifetime: days(1), snapshotLifetime: days(7), ...options };
    return new TufRepository(full, await loadPublished(full.storage));
  }

  /** What devices should see now; `undefined` until the first upload. */
  publication(): Publication | undefined {
    return this.#published === undefined ? undefined : publicationOf(this.#published);
  }

  /** When the hub signed last; undefined before the first upload. */
  signedAt(): EpochMillis | undefined {
    return this.#published === undefined ? undefined : issuedAt(this.#published.timestamp);
  }

  /** When the signatures of each published role end; none before the first upload. */
  expiries(): readonly RoleExpiry[] {
    return this.#published === undefined ? [] : expiriesOf(this.#published);
  }

  /** Newest root file, to pin at enrolment; throws `TRUST_ROOT_MISSING` before the first upload. */
  root(): MetadataFile<'root'> {
    return this.#require().root;
  }

  /** Current targets file of a role (`targets` or a publisher's), for its owner to sign the next one upon; throws `TRUST_ROLE_UNKNOWN`. */
  roleFile(role: string): MetadataFile<'targets'> {
    this.#require();
    const file = this.findFile(role);
    if (file === undefined) throw new SkerryError('TRUST_ROLE_UNKNOWN', `no role ${role} is delegated`);
    return file;
  }

  /** The same; `undefined` where there is none. */
  findFile(role: string): MetadataFile<'targets'> | undefined {
    return role === 'targets' ? this.#published?.targets : this.#published?.roles.get(role);
  }

  /** Target as a device would look it up in what is published. */
  target(path: string): ListedTarget | undefined {
    return this.#published === undefined ? undefined : findTarget(this.#published, path);
  }

  /** Called after every change of what is published; returns how to stop that. */
  onPublished(listener: (publication: Publication) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Checks an update and publishes it, all or nothing; resolves when it is durable. The same files again change nothing.
   * The first update must bring root, targets, every delegated role and the director file. Whoever may call this is the
   * API's decision; the signatures are checked here whoever calls. Throws the `TRUST_...` code of the first check that fails,
   * `HUB_CLOCK_SUSPECT` while the hub dates nothing.
   */
  accept(update: TrustUpdate): Promise<Publication> {
    return this.#queue.run(async () => {
      this.#options.guard.require();
      const next = this.#candidate(update, this.#options.clock.now());
      if (next !== undefined) await this.#publish(next);
      return publicationOf(this.#require());
    });
  }

  /** Checks an update as `accept` does, and changes nothing. */
  check(update: TrustUpdate): Promise<void> {
    return this.#queue.run(async () => {
      this.#options.guard.require();
      this.#candidate(update, this.#options.clock.now());
    });
  }

  /**
   * Signs the timestamp again, and the snapshot when half its lifetime is gone, or it is dated years ahead. Does nothing before the first
   * upload. Throws `HUB_CLOCK_SUSPECT`.
   */
  resign(): Promise<void> {
    return this.#queue.run(async () => {
      const published = this.#published;
      if (published === undefined) return;
      this.#options.guard.require();
      const now = this.#options.clock.now();
      const left = published.snapshot.expires - now;
      const stale = left < this.#options.snapshotLifetime / 2 || left > this.#options.snapshotLifetime;
      await this.#publish(this.#signed(published, now, stale));
    });
  }

  /**
   * Takes over what this hub lost and somebody else kept, files by name as a device holds them: versions of snapshot and timestamp are
   * never signed again, newer files of root and publishers are checked and published as if they were uploaded. Resolves with what that
   * was; undefined when nothing is newer. Throws `HUB_CLOCK_SUSPECT`.
   */
  learn(files: ReadonlyMap<string, Uint8Array>): Promise<string | undefined> {
    return this.#queue.run(async () => {
      const before = this.#published;
      if (before === undefined) return undefined;
      this.#options.guard.require();
      const floors = lostVersions(before, files);
      const lost = lostFiles(before, files);
      this.#floors = {
        snapshot: Math.max(this.#floors.snapshot, floors.snapshot),
        timestamp: Math.max(this.#floors.timestamp, floors.timestamp),
      };
      const isRaised = this.#floors.snapshot > before.snapshot.version || this.#floors.timestamp > before.timestamp.version;
      const now = this.#options.clock.now();
      const next = lost === undefined ? undefined : this.#candidateOrNone(lost, now, isRaised);
      if (next === undefined && !isRaised) return undefined;
      await this.#publish(next ?? this.#signed(before, now, this.#floors.snapshot > before.snapshot.version));
      return whatWasLost(before, this.#require());
    });
  }

  /** Files of others that fail a check hold up nothing of the hub's own; where there is nothing else, the check says why. */
  #candidateOrNone(lost: TrustUpdate, now: EpochMillis, isRaised: boolean): Published | undefined {
    try {
      return this.#candidate(lost, now);
    } catch (cause) {
      if (isRaised) return undefined;
      throw cause;
    }
  }

  #candidate(update: TrustUpdate, now: EpochMillis): Published | undefined {
    const before = this.#published;
    const { root, roots } = acceptRoots(before, update.roots ?? []);
    checkHubKeys(root, this.#options.keys);
    checkExpiry(root, now);
    const targets = acceptRole(update.targets, 'targets', before?.targets, before?.targets.version, now, update.recovery === true);
    if (targets === undefined) throw new SkerryError('TRUST_TARGETS_MISSING', 'the first upload must bring the targets file');
    checkSignatures(root, targets);
    const roles = acceptRoles(update, targets, before, now);
    const director = update.director ?? before?.director;
    checkDirector({ targets, roles }, director, this.#options.fleet, this.#options.keys);
    checkTargetRules({ targets, roles }, before);
    const files = [root, targets, ...roles.values()];
    const known = new Set(before === undefined ? [] : [before.root, before.targets, ...before.roles.values()]);
    if (files.every((file) => known.has(file)) && roles.size === before?.roles.size) return undefined;
    return this.#signed({ root, roots, targets, roles, director, snapshot: before?.snapshot, timestamp: before?.timestamp }, now, true);
  }

  /** Signs timestamp (and snapshot) over a set, then walks to it as a device would that stands at what is published now. */
  #signed(set: Unsigned, now: EpochMillis, withSnapshot: boolean): Published {
    const { keys, snapshotLifetime, timestampLifetime } = this.#options;
    const snapshot =
      withSnapshot || set.snapshot === undefined
        ? nextSnapshot(set.snapshot, set, keys, now + snapshotLifetime, this.#floors.snapshot)
        : set.snapshot;
    const timestamp = nextTimestamp(set.timestamp, snapshot, keys, now, now + timestampLifetime, this.#floors.timestamp);
    const next = { ...set, snapshot, timestamp };
    const { files } = publicationOf(next);
    // Without expiry: a file that lapsed holds up neither its own next one nor those of others.
    walkComplete(this.#published ?? { root: firstRoot(set), roles: new Map() }, (name) => files.get(name));
    return next;
  }

  async #publish(next: Published): Promise<void> {
    await commitPublished(this.#options.storage, next, this.#published);
    this.#published = next;
    // What cannot be deleted now is deleted by the next publication.
    await dropSuperseded(this.#options.storage, next).catch(() => undefined);
    this.#options.guard.signed(issuedAt(next.timestamp) ?? this.#options.clock.now());
    const publication = publicationOf(next);
    for (const listener of this.#listeners) listener(publication);
  }

  #require(): Published {
    if (this.#published !== undefined) return this.#published;
    throw new SkerryError('TRUST_ROOT_MISSING', 'no root of trust has been uploaded to this hub');
  }
}

/** A set whose snapshot and timestamp are still those of the set before. */
type Unsigned = Omit<Published, 'snapshot' | 'timestamp'> & {
  readonly snapshot: MetadataFile<'snapshot'> | undefined;
  readonly timestamp: MetadataFile<'timestamp'> | undefined;
};

function firstRoot(set: Pick<Published, 'roots' | 'root'>): MetadataFile<'root'> {
  const bytes = set.roots.get(Math.min(...set.roots.keys()));
  return bytes === undefined ? set.root : parseMetadata('root', bytes);
}

function acceptRoots(before: Published | undefined, uploaded: readonly Uint8Array[]): Pick<Published, 'root' | 'roots'> {
  const roots = new Map(before?.roots);
  let root = before?.root;
  for (const bytes of uploaded) {
    const version = parseMetadata('root', bytes).version;
    const stored = roots.get(version);
    if (stored !== undefined && Buffer.compare(stored, bytes) === 0) continue;
    root = root === undefined ? selfSigned(bytes) : nextRoot(root, bytes);
    roots.set(root.version, bytes);
  }
  if (root === undefined) throw new SkerryError('TRUST_ROOT_MISSING', 'the first upload must bring the root file');
  return { root, roots };
}

/** The first root is trusted because an administrator of this hub uploads it. */
function selfSigned(bytes: Uint8Array): MetadataFile<'root'> {
  const root = parseMetadata('root', bytes);
  checkSignatures(root, root);
  return root;
}

function acceptRole(
  bytes: Uint8Array | undefined,
  role: string,
  before: MetadataFile<'targets'> | undefined,
  published: number | undefined,
  now: EpochMillis,
  recovery: boolean,
): MetadataFile<'targets'> | undefined {
  if (bytes === undefined || (before !== undefined && Buffer.compare(before.bytes, bytes) === 0)) return before;
  const file = parseMetadata('targets', bytes, role);
  checkNextVersion(file, published, recovery);
  checkExpiry(file, now);
  if (before !== undefined) checkKeepsTargets(before, file);
  return file;
}

function acceptRoles(
  update: TrustUpdate,
  targets: MetadataFile<'targets'>,
  before: Published | undefined,
  now: EpochMillis,
): ReadonlyMap<string, MetadataFile<'targets'>> {
  const uploaded = new Map(Object.entries(update.roles ?? {}));
  const roles = new Map<string, MetadataFile<'targets'>>();
  const accept = (role: string, delegator: MetadataFile<'targets'>, delegatedBefore: MetadataFile<'targets'> | undefined): void => {
    const known = before?.roles.get(role);
    // The snapshot remembers roles that lost their delegation: one that comes back goes on counting.
    const listed = before?.snapshot.metadata.signed.meta[`${role}.json`]?.version;
    const file = acceptRole(uploaded.get(role), role, known, listed, now, update.recovery === true);
    if (file === undefined)
      throw new SkerryError('TRUST_TARGETS_MISSING', `role ${role} is delegated but its file is not given`, { details: { role } });
    if (file !== known || delegator !== delegatedBefore) checkSignatures(delegator, file);
    roles.set(role, file);
    if (delegator !== targets) return;
    checkDelegations(file);
    if (known !== undefined) checkKeepsModels(known, file);
    for (const model of delegatedRoleNames(file)) accept(model, file, known);
  };
  for (const publisher of delegatedRoleNames(targets)) accept(publisher, targets, before?.targets);
  for (const role of uploaded.keys()) {
    if (!roles.has(role)) throw new SkerryError('TRUST_ROLE_UNKNOWN', `no role ${role} is delegated`, { details: { role } });
  }
  return roles;
}
