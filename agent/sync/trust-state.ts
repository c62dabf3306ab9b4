import type { EpochMillis } from '#shared/kernel/clock.js';
import { parseTimestamp } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { type DirectorKeys, DIRECTOR_TARGET_PATH, directorKeysSchema } from '#shared/trust/desired.js';
import { checkSignatures, type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { findTarget, type ListedTarget, minimumVersions, type TargetRoles } from '#shared/trust/target-lookup.js';
import { type CompleteSet, type TrustedSet, walkUpdate } from '#shared/trust/update-walk.js';
import type { StateFiles } from './trust-folder.js';

/** Name of the director file within a state; no role can have it. */
export const DIRECTOR_FILE = 'director.json';
const DIRECTOR_BYTES = 16_384;

/** An accepted state, read and checked again. */
export class TrustState {
  readonly root: MetadataFile<'root'>;
  /** Missing until the first refresh. */
  readonly complete: CompleteSet | undefined;
  readonly director: { readonly bytes: Uint8Array; readonly keys: DirectorKeys } | undefined;
  readonly #minimums: ReadonlyMap<string, number>;

  private constructor(root: MetadataFile<'root'>, complete: CompleteSet | undefined, director: TrustState['director']) {
    this.root = root;
    this.complete = complete;
    this.director = director;
    this.#minimums = complete === undefined ? new Map() : minimumVersions(complete);
  }

  /**
   * Reads a state from its files. Signatures and hashes are checked again, so that a rotten disk is noticed; expiry is not:
   * expired metadata stops updates, never what is installed. Throws `TRUST_STATE_CORRUPT`.
   */
  static read(files: StateFiles, fleet: string): TrustState {
    try {
      const root = parseMetadata('root', files.get('root.json') ?? new Uint8Array());
      checkSignatures(root, root);
      if (!files.has('timestamp.json')) return new TrustState(root, undefined, undefined);
      const complete = walkUpdate({ root, roles: new Map() }, (name) => files.get(localName(name)), 0);
      const bytes = files.get(DIRECTOR_FILE) ?? new Uint8Array();
      return new TrustState(root, complete, { bytes, keys: readDirector(complete, bytes, fleet) });
    } catch (cause) {
      throw new SkerryError('TRUST_STATE_CORRUPT', `the stored trust state is damaged: ${asSkerryError(cause).message}`, { cause });
    }
  }

  get trusted(): TrustedSet {
    return this.complete ?? { root: this.root, roles: new Map() };
  }

  get versions(): { readonly root: number; readonly timestamp: number; readonly snapshot: number } {
    const { complete } = this;
    return { root: this.root.version, timestamp: complete?.timestamp.version ?? 0, snapshot: complete?.snapshot.version ?? 0 };
  }

  target(path: string): ListedTarget | undefined {
    return this.complete === undefined ? undefined : findTarget(this.complete, path);
  }

  minimumVersion(model: string): number {
    return this.#minimums.get(model) ?? 0;
  }

  /** When the accepted timestamp was signed. */
  get signedTime(): EpochMillis | undefined {
    return this.complete === undefined ? undefined : issuedAt(this.complete.timestamp);
  }
}

/** When the hub signed a timestamp file. */
export function issuedAt(timestamp: MetadataFile<'timestamp'>): EpochMillis | undefined {
  const text = timestamp.metadata.signed.unrecognizedFields['issued_at'];
  return typeof text === 'string' ? parseTimestamp(text) : undefined;
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

/** `3.targets.json` as the repository names it is `targets.json` within a state; a root after the accepted one is not there. */
function localName(name: string): string {
  return name.endsWith('.root.json') ? name : name.replace(/^\d+\./, '');
}
