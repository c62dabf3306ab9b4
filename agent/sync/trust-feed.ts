import type { Clock } from '#shared/kernel/clock.js';
import { hours, type Millis } from '#shared/kernel/time.js';
import { asSkerryError, hasCode, type SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { trustFilter } from '#shared/protocol/topics.js';
import type { PublicKey } from '#shared/trust/keys.js';
import type { TrustClient, VerifiedTarget } from '#agent/install/ports.js';
import type { EventSink } from '#agent/store/events.js';
import type { LinkPort, LinkStatus } from './contract.js';
import type { SignedClock } from './signed-clock.js';
import type { TrustVersions, TufTrustClient, UnavailablePublisher } from './trust-client.js';
import { TRUST_INDEX_FILE, type TrustMirror } from './trust-mirror.js';

interface TrustFeedDeps {
  readonly fleet: string;
  readonly link: LinkPort;
  readonly mirror: TrustMirror;
  readonly client: TufTrustClient;
  readonly time: SignedClock;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1): devices of a fleet do not look all at once. */
  readonly random: () => number;
  /** The hub offers less than was accepted from it before: it lost what it signed since. */
  readonly onBehind?: () => void;
  /** Between refreshes without a reason (default 6 hours), so that expiry is noticed and reported. */
  readonly period?: Millis;
}

/** How the trust metadata of this device is. */
export interface TrustStatus extends TrustVersions {
  /** Why the last refresh failed. */
  readonly error?: SkerryError;
  /** Publishers whose targets cannot be taken up, and why; those of others can. */
  readonly unavailable?: readonly UnavailablePublisher[];
}

/** Changes with every change the hub publishes (TUF 4.6), and by itself when the hub only signs it anew. */
const TIMESTAMP_FILE = 'timestamp.json';
/** Files of one change arrive one by one; the refresh waits until it has been quiet for this long. */
const QUIET: Millis = 150;

/** Refusals of metadata that is older than what was accepted. */
const HUB_IS_BEHIND = ['TRUST_TIMESTAMP_ROLLBACK', 'TRUST_SNAPSHOT_ROLLBACK', 'TRUST_TARGETS_ROLLBACK'] as const;

/** Feeds the retained trust topics into the mirror, and refreshes the TUF client when they change, before updates, and now and then. */
export class TrustFeed implements TrustClient, Service {
  readonly #deps: TrustFeedDeps;
  readonly #undo: (() => void)[] = [];
  readonly #refreshed = new Set<() => void>();
  readonly #changed = new Set<() => void>();
  #versions: TrustVersions = { root: 0, timestamp: 0, snapshot: 0 };
  #error: SkerryError | undefined;
  #unavailable: readonly UnavailablePublisher[] = [];
  #reportedError = '';
  #cancelQuiet: () => void = () => undefined;
  #cancelPeriod: () => void = () => undefined;

  constructor(deps: TrustFeedDeps) {
    this.#deps = deps;
  }

  /** For the reported state. */
  get status(): TrustStatus {
    const unavailable = this.#unavailable.length === 0 ? {} : { unavailable: this.#unavailable };
    return { ...this.#versions, ...(this.#error === undefined ? {} : { error: this.#error }), ...unavailable };
  }

  /** Called after every refresh that was accepted. */
  onRefreshed(listener: () => void): () => void {
    this.#refreshed.add(listener);
    return () => this.#refreshed.delete(listener);
  }

  /** Called when `status` changed. */
  onChange(listener: () => void): () => void {
    this.#changed.add(listener);
    return () => this.#changed.delete(listener);
  }

  async start(): Promise<void> {
    const { link, fleet, client, logger } = this.#deps;
    try {
      this.#versions = await client.versions();
    } catch (cause) {
      this.#error = asSkerryError(cause);
      logger.error({ code: this.#error.code, reason: this.#error.message }, 'no updates: the trust state cannot be read');
    }
    const files = link.subscribe(trustFilter(fleet), (topic, payload) => this.#receive(topic, payload));
    const unwatch = link.onStatus((status) => this.#onStatus(status));
    this.#undo.push(() => files.close(), unwatch);
    this.#planPeriod();
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo();
    this.#cancelQuiet();
    this.#cancelPeriod();
  }

  async refresh(): Promise<TrustVersions> {
    try {
      const versions = await this.#deps.client.refresh();
      await this.#accepted(versions);
      return versions;
    } catch (cause) {
      // What was verified before the failure counts, and is reported.
      this.#versions = await this.#deps.client.versions().catch(() => this.#versions);
      this.#failed(asSkerryError(cause));
      throw cause;
    }
  }

  directorKeys(): Promise<readonly PublicKey[]> {
    return this.#deps.client.directorKeys();
  }

  target(path: string): Promise<VerifiedTarget | undefined> {
    return this.#deps.client.target(path);
  }

  minimumVersion(model: string): Promise<number> {
    return this.#deps.client.minimumVersion(model);
  }

  #receive(topic: string, payload: Uint8Array): void {
    const { mirror, clock, logger } = this.#deps;
    const file = topic.slice(topic.lastIndexOf('/') + 1);
    try {
      mirror.put(file, payload);
    } catch (cause) {
      logger.warn({ file, code: asSkerryError(cause).code, reason: asSkerryError(cause).message }, 'a trust file was ignored');
      return;
    }
    if (file !== TRUST_INDEX_FILE && file !== TIMESTAMP_FILE) return;
    this.#cancelQuiet();
    this.#cancelQuiet = clock.schedule(QUIET, () => this.#refreshQuietly());
  }

  #onStatus(status: LinkStatus): void {
    // The retained files of the new session replace those of the old one.
    if (status.kind === 'connecting') this.#deps.mirror.clear();
  }

  #refreshQuietly(): void {
    this.refresh().catch(() => undefined); // Reported by #failed.
  }

  #planPeriod(): void {
    const { clock, random, link } = this.#deps;
    const period = this.#deps.period ?? hours(6);
    this.#cancelPeriod = clock.schedule(period * (0.5 + random()), () => {
      if (link.status.kind === 'online') this.#refreshQuietly();
      this.#planPeriod();
    });
  }

  async #accepted(versions: TrustVersions): Promise<void> {
    const { client, time, events } = this.#deps;
    const before = this.#versions;
    const isNew = before.root !== versions.root || before.timestamp !== versions.timestamp;
    const hadError = this.#error !== undefined;
    const roleChanged = this.#noteUnavailable(await client.unavailable());
    this.#versions = versions;
    this.#error = undefined;
    this.#reportedError = '';
    const signed = await client.signedTime();
    if (signed !== undefined) await time.observeMetadata(signed, isNew);
    if (isNew) events.emit({ kind: 'trust.refreshed', detail: { ...versions } });
    if (isNew || hadError || roleChanged) for (const listener of this.#changed) listener();
    for (const listener of this.#refreshed) listener();
  }

  /** Tells of each publisher that became unavailable, once; true when the list changed. */
  #noteUnavailable(next: readonly UnavailablePublisher[]): boolean {
    const { events, logger } = this.#deps;
    const key = ({ role, error }: UnavailablePublisher): string => `${role} ${error.code}`;
    const before = new Set(this.#unavailable.map(key));
    const fresh = next.filter((entry) => !before.has(key(entry)));
    this.#unavailable = next;
    for (const { role, error } of fresh) {
      logger.warn({ role, code: error.code, reason: error.message }, 'the device installs nothing new from this publisher');
      events.emit({ kind: 'trust.refused', error: { code: error.code, message: error.message.slice(0, 2048) }, detail: { role } });
    }
    return fresh.length > 0 || next.length !== before.size;
  }

  #failed(error: SkerryError): void {
    const { events, logger, onBehind } = this.#deps;
    if (HUB_IS_BEHIND.some((code) => hasCode(error, code))) onBehind?.();
    const again = this.#reportedError === `${error.code} ${error.message}`;
    this.#reportedError = `${error.code} ${error.message}`;
    logger.warn({ code: error.code, reason: error.message }, 'trust metadata was refused');
    // Files that have not arrived yet are no refusal.
    if (error.code === 'TRUST_MIRROR_INCOMPLETE') return;
    this.#error = error;
    if (again) return;
    events.emit({ kind: 'trust.refused', error: { code: error.code, message: error.message.slice(0, 2048) } });
    for (const listener of this.#changed) listener();
  }
}
