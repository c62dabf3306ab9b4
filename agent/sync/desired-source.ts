import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError, hasCode, type SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { type DesiredState, desiredStateSchema } from '#shared/trust/desired.js';
import { verifyDesired } from '#shared/trust/decide/desired-verify.js';
import type { PublicKey } from '#shared/trust/keys.js';
import type { DesiredSource } from '#agent/install/ports.js';
import type { StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import type { LinkPort } from './contract.js';
import type { SignedClock } from './signed-clock.js';

/** What the source needs of the device's TUF client. */
export interface DirectorKeys {
  /** Throws `TRUST_DIRECTOR_MISSING` before the first refresh. */
  directorKeys(): Promise<readonly PublicKey[]>;
  refresh(): Promise<unknown>;
}

interface DesiredSourceDeps {
  readonly fleet: string;
  readonly device: string;
  readonly link: LinkPort;
  readonly state: StateStore;
  readonly director: DirectorKeys;
  readonly time: SignedClock;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The hub offers less than was accepted from it before: it lost what it said since. */
  readonly onBehind?: () => void;
}

const acceptedSchema = z.object({
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  desired: desiredStateSchema,
  /** As it came, base64: shown to a hub that lost it. */
  envelope: z.base64().optional(),
});
type Accepted = z.infer<typeof acceptedSchema>;

/** After the store could not keep a statement: a full disk, mostly. */
const ROOM_RETRY: Millis = seconds(5);

/** Refusals that newer trust metadata may turn around. */
const WAITS_FOR_TRUST = ['TRUST_DIRECTOR_MISSING', 'TRUST_DESIRED_SIGNATURE', 'TRUST_ROOT_MISSING'] as const;

/** Refusals that a right time may turn around: the metadata brings one, or somebody sets the clock. */
const WAITS_FOR_TIME = ['TRUST_SIGNED_IN_FUTURE', 'TRUST_DESIRED_EXPIRED'] as const;

/** Refusals of what the hub said before, or says anew because it does not know that it did. */
const HUB_IS_BEHIND = ['TRUST_DESIRED_REPLAY', 'TRUST_DESIRED_CONFLICT'] as const;

/**
 * The desired state of this device: received retained, verified, made durable, and only then passed on.
 * INVARIANTS: at most one message is being judged, the newest waiting one is judged next; `current` has been on the disk
 * since before it was passed on; the counter of `current` never falls.
 */
export class DesiredSubscription implements DesiredSource {
  readonly #deps: DesiredSourceDeps;
  readonly #key: string;
  readonly #accepted = new Set<(desired: DesiredState) => void>();
  readonly #changed = new Set<() => void>();
  #current: Accepted | undefined;
  #refused: SkerryError | undefined;
  #refusedDigest = '';
  /** Came, and not judged yet. */
  #next: Uint8Array | undefined;
  /** Refused, but newer trust metadata, a right time, or room on the disk, may let it pass. */
  #held: Uint8Array | undefined;
  #cancelRetry: () => void = () => undefined;
  #judging: Promise<void> | undefined;

  private constructor(deps: DesiredSourceDeps, key: string, current: Accepted | undefined) {
    this.#deps = deps;
    this.#key = key;
    this.#current = current;
  }

  /** Reads the last accepted one from the store and subscribes. */
  static async open(deps: DesiredSourceDeps): Promise<DesiredSubscription> {
    const { fleet, device, link, state } = deps;
    const key = `sync.desired/${fleet}/${device}`;
    const source = new DesiredSubscription(deps, key, await readAccepted(state, key));
    // Not returned to the link: judging may wait for trust metadata that comes over the same connection.
    link.subscribe(deviceTopic(fleet, device, 'desired'), (_topic, payload) => source.#receive(payload));
    return source;
  }

  current(): DesiredState | undefined {
    return this.#current?.desired;
  }

  /** The newest accepted one as it came, signed; undefined for one that an older agent accepted. */
  signed(): string | undefined {
    return this.#current?.envelope;
  }

  /** Why the newest one received was refused, if it was. */
  get refused(): SkerryError | undefined {
    return this.#refused;
  }

  onAccepted(listener: (desired: DesiredState) => void): () => void {
    this.#accepted.add(listener);
    return () => this.#accepted.delete(listener);
  }

  /** Called when `current` or `refused` changed. */
  onChange(listener: () => void): () => void {
    this.#changed.add(listener);
    return () => this.#changed.delete(listener);
  }

  /** Trust metadata was accepted: what was refused for lack of it, or of the time that it says, is judged again. */
  retry(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined && this.#next === undefined) this.#receive(held);
  }

  /** Ends the wait for room, and resolves when nothing received is being judged any more. */
  async close(): Promise<void> {
    this.#cancelRetry();
    await this.settled();
    this.#cancelRetry();
  }

  /** Resolves when nothing received is waiting any more. */
  async settled(): Promise<void> {
    while (this.#judging !== undefined) await this.#judging;
  }

  #receive(payload: Uint8Array): void {
    if (payload.byteLength === 0) return; // A cleared retained message takes nothing away from the device.
    this.#next = payload;
    this.#judging ??= Promise.resolve()
      .then(() => this.#judgeAll())
      .finally(() => {
        this.#judging = undefined;
      });
  }

  async #judgeAll(): Promise<void> {
    for (let payload = this.#next; payload !== undefined; payload = this.#next) {
      this.#next = undefined;
      this.#held = undefined;
      try {
        await this.#judge(payload);
      } catch (cause) {
        this.#refuse(payload, asSkerryError(cause));
      }
    }
  }

  async #judge(payload: Uint8Array): Promise<void> {
    const { director } = this.#deps;
    try {
      await this.#accept(payload, await director.directorKeys());
    } catch (cause) {
      if (!waitsForTrust(cause)) throw cause;
      // The key is new to this device, or was replaced: the metadata says which.
      await director.refresh();
      await this.#accept(payload, await director.directorKeys());
    }
  }

  async #accept(payload: Uint8Array, directorKeys: readonly PublicKey[]): Promise<void> {
    const { fleet, device, state, time, events, logger } = this.#deps;
    const current = this.#current;
    const last = current === undefined ? undefined : { counter: current.desired.counter, digest: current.digest };
    const verdict = verifyDesired(payload, { fleet, device, directorKeys, last, now: time.now().now, latest: time.latestStatement });
    const hadRefused = this.#refused !== undefined;
    this.#refused = undefined;
    this.#refusedDigest = '';
    const envelope = Buffer.from(payload).toString('base64');
    if (verdict.kind === 'unchanged') {
      if (current !== undefined && current.envelope === undefined) await this.#fillIn(current, envelope, verdict.payload);
      if (hadRefused) for (const listener of this.#changed) listener();
      return;
    }
    const accepted: Accepted = { digest: verdict.digest, desired: verdict.desired, envelope };
    await state.set(this.#key, storedText(verdict.digest, envelope, verdict.payload));
    this.#current = accepted;
    // It is on the disk: a time that cannot be kept there as well holds nothing up.
    await time.observeStatement(verdict.issuedAt).catch((cause: unknown) => {
      logger.warn({ reason: asSkerryError(cause).message }, 'the time of the desired state could not be stored');
    });
    logger.info({ counter: accepted.desired.counter, models: accepted.desired.models.length }, 'desired state accepted');
    events.emit({ kind: 'desired.accepted', detail: { counter: accepted.desired.counter } });
    for (const listener of this.#accepted) listener(accepted.desired);
    for (const listener of this.#changed) listener();
  }

  /** An older agent accepted it and kept what it says only: a hub that lost it can be shown it from now on. */
  async #fillIn(current: Accepted, envelope: string, payload: Uint8Array): Promise<void> {
    const { state, logger } = this.#deps;
    this.#current = { ...current, envelope };
    // It holds as it did before: what the disk does not take now, it takes when the broker sends it again.
    await state.set(this.#key, storedText(current.digest, envelope, payload)).catch((cause: unknown) => {
      logger.warn({ reason: asSkerryError(cause).message }, 'the signature of the desired state could not be stored');
    });
  }

  #refuse(payload: Uint8Array, error: SkerryError): void {
    const { events, logger, onBehind } = this.#deps;
    if (HUB_IS_BEHIND.some((code) => hasCode(error, code))) onBehind?.();
    if (waitsForTrust(error) || waitsForTime(error) || hasCode(error, 'TRUST_MIRROR_INCOMPLETE')) this.#held = payload;
    if (couldNotBeKept(error)) {
      // The broker sends it again with the next connection only, and that may hold for months.
      this.#held = payload;
      this.#cancelRetry();
      this.#cancelRetry = this.#deps.clock.schedule(ROOM_RETRY, () => this.retry());
    }
    this.#refused = error;
    for (const listener of this.#changed) listener();
    // The retained message comes again with every reconnect; it is passed on once.
    const digest = createHash('sha256').update(error.code).update(payload).digest('hex');
    if (digest === this.#refusedDigest) return;
    this.#refusedDigest = digest;
    logger.warn({ code: error.code, reason: error.message }, 'desired state refused');
    events.emit({ kind: 'desired.refused', error: { code: error.code, message: error.message.slice(0, 2048) } });
  }
}

/** It was good; the store found no place for it. */
function couldNotBeKept(error: SkerryError): boolean {
  return hasCode(error, 'DISK_FULL') || hasCode(error, 'IO_FAILED');
}

function waitsForTrust(cause: unknown): boolean {
  return WAITS_FOR_TRUST.some((code) => hasCode(cause, code));
}

function waitsForTime(error: SkerryError): boolean {
  return WAITS_FOR_TIME.some((code) => hasCode(error, code));
}

/** As it was signed: what this release does not understand is there for the one after it. */
function storedText(digest: string, envelope: string, payload: Uint8Array): string {
  return `{"digest":"${digest}","envelope":"${envelope}","desired":${new TextDecoder().decode(payload)}}`;
}

async function readAccepted(state: StateStore, key: string): Promise<Accepted | undefined> {
  const stored = await state.get(key);
  if (stored === undefined) return undefined;
  const bytes = new TextEncoder().encode(stored);
  return parseJson(acceptedSchema, bytes, { what: 'the stored desired state', maxBytes: 4 * LIMITS.desiredBytes, code: 'STORE_CORRUPT' });
}
