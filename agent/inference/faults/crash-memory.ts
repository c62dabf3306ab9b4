import { versionKey } from '#shared/bundle/names.js';
import { z } from 'zod';
import type { Clock } from '#shared/kernel/clock.js';
import { type EpochMillis, hours, type Millis, minutes } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { digestOfInputs } from './input-digest.js';
import type { VersionId } from '../instances/instance-protocol.js';
import type { KeyValue } from '../placement/placement-memory.js';

const STORE_KEY = 'inference.crashes';
const MAX_BYTES = 512 * 1024;

/** How sure it is that a request ended a process: `seen` to, or only in native code when something ended it. */
type Certainty = 'seen' | 'suspected';

/** For how long the inputs are refused. */
const REFUSED_FOR: Readonly<Record<Certainty, Millis>> = { seen: hours(1), suspected: minutes(10) };

const refusedSchema = z.object({
  version: z.string().max(256),
  digest: z.string().max(64),
  why: z.string().max(256),
  /** Milliseconds since the epoch, by the device's clock. */
  until: z.number(),
});
const documentSchema = z.object({
  /** Versions that run in processes of their own since they crashed, oldest first. */
  isolated: z.array(z.string().max(256)).max(LIMITS.crashedVersions),
  refused: z.array(refusedSchema).max(LIMITS.refusedInputs),
});
type Refused = z.infer<typeof refusedSchema>;

interface Blame extends VersionId {
  /** Of the inputs that did it; left out when no request did. */
  readonly digest?: string;
  readonly certainty: Certainty;
  /** `SIGFPE` ... */
  readonly why: string;
}

/**
 * What crashed native code on this device: versions, which run in processes of their own from then on, and inputs, which are
 * refused for a while. Kept across restarts where the disk lets it; bounded, the oldest is forgotten first.
 */
export class CrashMemory {
  readonly #store: KeyValue;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #isolated: Set<string>;
  #refused: readonly Refused[];

  private constructor(store: KeyValue, clock: Clock, logger: Logger, document: z.infer<typeof documentSchema>) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#isolated = new Set(document.isolated);
    this.#refused = document.refused;
  }

  /** What cannot be read is dropped with a warning. */
  static async open(store: KeyValue, clock: Clock, logger: Logger): Promise<CrashMemory> {
    const empty = { isolated: [], refused: [] };
    const text = await store.get(STORE_KEY);
    if (text === undefined) return new CrashMemory(store, clock, logger, empty);
    try {
      const bytes = new TextEncoder().encode(text);
      return new CrashMemory(store, clock, logger, parseJson(documentSchema, bytes, { what: 'crash memory', maxBytes: MAX_BYTES }));
    } catch (cause) {
      logger.warn({ code: asSkerryError(cause).code }, 'the record of earlier crashes is unreadable; starting with an empty one');
      return new CrashMemory(store, clock, logger, empty);
    }
  }

  isIsolated(of: VersionId): boolean {
    return this.#isolated.has(versionKey(of.model, of.version));
  }

  /** Throws `INFERENCE_CRASHED_BEFORE` for inputs that are refused. Costs nothing for a version that has none in force. */
  admit(of: VersionId, inputs: NamedTensors): void {
    const version = versionKey(of.model, of.version);
    if (this.#refused.length === 0) return;
    const now = this.#clock.now();
    // What is over must not cost every later request a digest.
    if (!this.#refused.every((entry) => isInForce(entry, now))) this.#refused = this.#refused.filter((entry) => isInForce(entry, now));
    const ofVersion = this.#refused.filter((entry) => entry.version === version);
    if (ofVersion.length === 0) return;
    const digest = digestOfInputs(inputs);
    const found = ofVersion.find((entry) => entry.digest === digest);
    if (found === undefined) return;
    const until = new Date(found.until).toISOString();
    const message = `${version} crashed on these inputs before (${found.why}); they are refused until ${until}`;
    throw new SkerryError('INFERENCE_CRASHED_BEFORE', message, { details: { until, digest, reason: found.why } });
  }

  /** Remembers a crash; in force at once, also when it cannot be written. */
  async blame({ digest, certainty, why, ...of }: Blame): Promise<void> {
    const version = versionKey(of.model, of.version);
    this.#isolated.delete(version);
    this.#isolated.add(version);
    for (const oldest of this.#isolated) {
      if (this.#isolated.size <= LIMITS.crashedVersions) break;
      this.#isolated.delete(oldest);
    }
    if (digest !== undefined) {
      const now = this.#clock.now();
      const others = this.#refused.filter((entry) => isInForce(entry, now) && !(entry.version === version && entry.digest === digest));
      const entry = { version, digest, why: why.slice(0, 256), until: now + REFUSED_FOR[certainty] };
      this.#refused = [...others, entry].slice(-LIMITS.refusedInputs);
    }
    try {
      await this.#store.set(STORE_KEY, JSON.stringify({ isolated: [...this.#isolated], refused: this.#refused }));
    } catch (cause) {
      this.#logger.warn({ code: asSkerryError(cause).code }, 'a crash could not be stored; it is remembered until the agent ends');
    }
  }
}

/** A clock that was put back must not make a refusal last. */
function isInForce({ until }: Refused, now: EpochMillis): boolean {
  return now < until && until - now <= REFUSED_FOR.seen;
}
