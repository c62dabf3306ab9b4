import type { EpochMillis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { type DirectorKeys, DIRECTOR_TARGET_PATH, directorKeysSchema } from '#shared/trust/desired.js';
import { type Kind, type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { checkSignatures, type Delegator } from '#shared/trust/signatures.js';
import { findTarget, type ListedTarget, minimumVersionOf, type TargetRoles } from '#shared/trust/target-lookup.js';
import { checkDelegations, delegatedRoleNames } from '#shared/trust/model-role.js';
import { issuedAt, type TrustedSet, type UnavailableRole } from '#shared/trust/decide/update-walk.js';
import type { StateFiles } from './trust-folder.js';

/** Name of the director file within a state; no role can have it. */
const DIRECTOR_FILE = 'director.json';
const DIRECTOR_BYTES = 16_384;

/** The keys that may sign desired states, with the file that names them. */
interface Director {
  readonly bytes: Uint8Array;
  readonly keys: DirectorKeys;
}

/**
 * What the device has verified, each role as far as it came (TUF 5.3.8, 5.4.5, 5.5.7, 5.6.6): a snapshot may be older than
 * the timestamp beside it when the newer one did not pass. Lookups answer from targets and publisher roles.
 */
export class TrustState {
  readonly trusted: TrustedSet;
  readonly director: Director | undefined;
  /** Publisher roles that the last refresh could not bring up to date. */
  readonly unavailable: ReadonlyMap<string, UnavailableRole>;
  /** Looked up when first asked for: a fleet has many models, a device few of them. */
  readonly #minimums = new Map<string, number>();

  constructor(trusted: TrustedSet, director: Director | undefined, unavailable: ReadonlyMap<string, UnavailableRole> = new Map()) {
    this.trusted = trusted;
    this.director = director;
    this.unavailable = unavailable;
  }

  /**
   * Reads a state from its files. Signatures are checked again, so that a rotten disk is noticed; expiry is not: expired
   * metadata stops updates, never what is installed. Throws `TRUST_STATE_CORRUPT`.
   */
  static read(files: StateFiles, fleet: string): TrustState {
    try {
      const root = parseMetadata('root', files.get('root.json') ?? new Uint8Array());
      checkSignatures(root, root);
      const timestamp = readFile(files, 'timestamp', root);
      const snapshot = readFile(files, 'snapshot', root);
      const targets = readFile(files, 'targets', root);
      const roles = targets === undefined ? new Map<string, MetadataFile<'targets'>>() : readRoles(files, targets);
      const bytes = files.get(DIRECTOR_FILE);
      if (bytes === undefined) return new TrustState({ root, timestamp, snapshot, targets, roles }, undefined);
      if (targets === undefined) throw new SkerryError('TRUST_TARGETS_MISSING', 'targets.json is missing');
      const director = { bytes, keys: readDirector({ targets, roles }, bytes, fleet) };
      return new TrustState({ root, timestamp, snapshot, targets, roles }, director);
    } catch (cause) {
      throw new SkerryError('TRUST_STATE_CORRUPT', `the stored trust state is damaged: ${asSkerryError(cause).message}`, { cause });
    }
  }

  /** The files that `read` reads. */
  files(): StateFiles {
    const { root, timestamp, snapshot, targets, roles } = this.trusted;
    const files = new Map<string, Uint8Array>();
    for (const file of [root, timestamp, snapshot, targets, ...roles.values()])
      if (file !== undefined) files.set(`${file.role}.json`, file.bytes);
    if (this.director !== undefined) files.set(DIRECTOR_FILE, this.director.bytes);
    return files;
  }

  get versions(): { readonly root: number; readonly timestamp: number; readonly snapshot: number } {
    const { root, timestamp, snapshot } = this.trusted;
    return { root: root.version, timestamp: timestamp?.version ?? 0, snapshot: snapshot?.version ?? 0 };
  }

  /** Throws the error of an unavailable role whose target it is, or may be. */
  target(path: string): ListedTarget | undefined {
    const roles = lookupRoles(this.trusted);
    return roles === undefined ? undefined : findTarget(roles, path, this.unavailable);
  }

  minimumVersion(model: string): number {
    const known = this.#minimums.get(model);
    if (known !== undefined) return known;
    const roles = lookupRoles(this.trusted);
    const minimum = roles === undefined ? 0 : minimumVersionOf(roles, model);
    this.#minimums.set(model, minimum);
    return minimum;
  }

  /** When the accepted timestamp was signed. */
  get signedTime(): EpochMillis | undefined {
    const { timestamp } = this.trusted;
    return timestamp === undefined ? undefined : issuedAt(timestamp);
  }
}

function lookupRoles({ targets, roles }: TrustedSet): TargetRoles | undefined {
  return targets === undefined ? undefined : { targets, roles };
}

/** Publishers, and the models of each, as far as their files are there. */
function readRoles(files: StateFiles, targets: MetadataFile<'targets'>): ReadonlyMap<string, MetadataFile<'targets'>> {
  const roles = new Map<string, MetadataFile<'targets'>>();
  const read = (delegator: MetadataFile<'targets'>): void => {
    for (const name of delegatedRoleNames(delegator)) {
      const file = readFile(files, 'targets', delegator, name);
      if (file === undefined) continue;
      roles.set(name, file);
      checkDelegations(file);
      read(file);
    }
  };
  read(targets);
  return roles;
}

function readFile<K extends Kind>(files: StateFiles, kind: K, delegator: Delegator, role: string = kind): MetadataFile<K> | undefined {
  const bytes = files.get(`${role}.json`);
  if (bytes === undefined) return undefined;
  const file = parseMetadata(kind, bytes, role);
  checkSignatures(delegator, file);
  return file;
}

/** Checks the content of `hub/director.json` against its target, schema and fleet. Throws `TRUST_DIRECTOR_...`. */
export function readDirector(set: TargetRoles, bytes: Uint8Array, fleet: string): DirectorKeys {
  const target = directorTarget(set);
  if (bytes.byteLength !== target.length || sha256Hex(bytes) !== target.digest) {
    throw new SkerryError('TRUST_DIRECTOR_HASH', `the content of ${DIRECTOR_TARGET_PATH} is not the file the targets list`);
  }
  const keys = parseJson(directorKeysSchema, bytes, {
    what: DIRECTOR_TARGET_PATH,
    maxBytes: DIRECTOR_BYTES,
    code: 'TRUST_DIRECTOR_FORMAT',
  });
  if (keys.fleet === fleet) return keys;
  throw new SkerryError('TRUST_DIRECTOR_FORMAT', `${DIRECTOR_TARGET_PATH} is for fleet ${keys.fleet}, this is ${fleet}`);
}

export function directorTarget(set: TargetRoles): ListedTarget {
  const target = findTarget(set, DIRECTOR_TARGET_PATH);
  if (target !== undefined) return target;
  throw new SkerryError('TRUST_DIRECTOR_MISSING', `the targets do not list ${DIRECTOR_TARGET_PATH}`);
}
