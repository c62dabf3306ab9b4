import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import { seconds } from '#shared/kernel/time.js';
import { isTrustCode } from '#shared/kernel/error-registry.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import type { PublicKey } from '#shared/trust/keys.js';
import { MISSING_CODES } from '#shared/trust/missing-codes.js';
import { publisherOf } from '#shared/trust/role-name.js';
import type { TrustClient, VerifiedTarget } from '#agent/install/ports.js';
import { TrustFolder, type TrustFs } from './trust-folder.js';
import type { TrustMirror } from './trust-mirror.js';
import type { TrustState } from './trust-state.js';

interface TrustClientOptions {
  /** Folder of the trust state; made by `pin`. */
  readonly folder: string;
  readonly fleet: string;
  readonly clock: Clock;
  readonly mirror: TrustMirror;
  /** Freshest signed time known from elsewhere (desired states), kept by the caller across restarts. */
  readonly signedTime?: () => EpochMillis | undefined;
  /** The latest time that metadata may be dated with, where the device can tell (`SignedClock.latestMetadata`). */
  readonly latest?: () => EpochMillis | undefined;
  /** How long a refresh waits for announced files (default 30 s). */
  readonly mirrorDeadline?: Millis;
  readonly fs?: TrustFs;
}

export interface TrustVersions {
  readonly root: number;
  readonly timestamp: number;
  readonly snapshot: number;
}

export interface UnavailablePublisher {
  readonly role: string;
  readonly error: SkerryError;
}

/**
 * The device's TUF client over mirrored files. Constructing does no I/O and loads no TUF code: both come with the first call.
 *
 * INVARIANTS: one refresh at a time, further callers share it; lookups answer from the last accepted state, during a refresh,
 * offline and after expiry too; what a refresh verified is kept when a later check of it fails.
 */
export class TufTrustClient implements TrustClient {
  readonly #options: TrustClientOptions;
  readonly #folder: TrustFolder;
  #state: Promise<TrustState> | undefined;
  #refreshing: Promise<TrustVersions> | undefined;

  constructor(options: TrustClientOptions) {
    this.#options = options;
    this.#folder = new TrustFolder(options.folder, options.fs);
  }

  /** Stores the root of trust received at enrolment. Throws `TRUST_ROOT_FORMAT`, `TRUST_ROOT_SIGNATURE`, `TRUST_ROOT_PINNED`. */
  async pin(root: Uint8Array): Promise<void> {
    const [{ parseMetadata }, { checkSignatures }] = await Promise.all([
      import('#shared/trust/metadata.js'),
      import('#shared/trust/signatures.js'),
    ]);
    const file = parseMetadata('root', root);
    checkSignatures(file, file);
    await this.#folder.pin(root);
  }

  /**
   * Walks root, timestamp, snapshot, targets and every publisher role over what the mirror holds. Throws the `TRUST_...` code
   * of the first check that fails, and keeps what passed before it; `TRUST_METADATA_EXPIRED` stops updates, lookups go on. A
   * publisher role that fails is no failure of the refresh: it is listed by `unavailable`, and lookups of its targets throw.
   */
  refresh(): Promise<TrustVersions> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async target(path: string): Promise<VerifiedTarget | undefined> {
    const target = (await this.#load()).target(path);
    if (target === undefined) return undefined;
    return { path: target.path, length: target.length, digest: target.digest, custom: target.custom };
  }

  /** Highest minimum version stated for the model; 0 when none is. */
  async minimumVersion(model: string): Promise<number> {
    return (await this.#load()).minimumVersion(model);
  }

  /** Keys that may sign desired states of this fleet; throws `TRUST_DIRECTOR_MISSING` before the first refresh. */
  async directorKeys(): Promise<readonly PublicKey[]> {
    const { director } = await this.#load();
    if (director === undefined) throw new SkerryError('TRUST_DIRECTOR_MISSING', 'the director keys are not known before the first refresh');
    return director.keys.keys;
  }

  /** Accepted versions; 0 for what there is not yet. */
  async versions(): Promise<TrustVersions> {
    return (await this.#load()).versions;
  }

  /** Publishers, or single models of one, that the last refresh could not use, and why. */
  async unavailable(): Promise<readonly UnavailablePublisher[]> {
    const { unavailable } = await this.#load();
    // A publisher that cannot be used takes its models along: it is named alone.
    const named = [...unavailable].filter(([role]) => role === publisherOf(role) || !unavailable.has(publisherOf(role)));
    return named.map(([role, { error }]) => ({ role, error }));
  }

  /** Files of the accepted state by name, as they were signed. */
  async files(): Promise<ReadonlyMap<string, Uint8Array>> {
    return (await this.#load()).files();
  }

  /** When the accepted timestamp was signed: evidence for `trustedTime`. */
  async signedTime(): Promise<EpochMillis | undefined> {
    return (await this.#load()).signedTime;
  }

  async #refresh(): Promise<TrustVersions> {
    const { clock, fleet, mirror, mirrorDeadline, signedTime, latest } = this.#options;
    const state = await this.#load();
    const { files, missing } = await mirror.complete(mirrorDeadline ?? seconds(30));
    const { judgedTime, refreshTrust } = await import('./trust-refresh.js');
    const floor = Math.max(state.signedTime ?? 0, signedTime?.() ?? 0);
    const time = { now: judgedTime(clock.now(), floor, state, files), latest: latest?.() };
    try {
      const next = await refreshTrust(this.#folder, state, files, time, fleet);
      this.#state = Promise.resolve(next.state);
      if (next.failure === undefined) return next.state.versions;
      throw next.failure;
    } catch (cause) {
      // An error while the pointer was replaced may have come before or after it took effect: the disk knows.
      if (!(cause instanceof SkerryError) || !isTrustCode(cause.code)) this.#state = undefined;
      // A file that has not come is no refusal of what came.
      if (missing !== undefined && isMissing(cause)) throw missing;
      throw cause;
    }
  }

  #load(): Promise<TrustState> {
    this.#state ??= this.#read().catch((cause: unknown) => {
      this.#state = undefined;
      throw cause;
    });
    return this.#state;
  }

  async #read(): Promise<TrustState> {
    const files = await this.#folder.load();
    if (files === undefined) throw new SkerryError('TRUST_ROOT_MISSING', 'this device has no pinned root; enrol it');
    const { TrustState } = await import('./trust-state.js');
    return TrustState.read(files, this.#options.fleet);
  }
}

function isMissing(cause: unknown): boolean {
  return MISSING_CODES.some((code) => hasCode(cause, code));
}
