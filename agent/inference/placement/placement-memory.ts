import { createHash } from 'node:crypto';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { Candidate, Verdict } from '../decide/placement.js';

/** Durable text by key: `set` resolves once what it wrote survives a power cut (agent/store's `StateStore` is one). */
export interface KeyValue {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
}

const STORE_KEY = 'inference.placement';
const MAX_BYTES = 256 * 1024;
/** Oldest verdicts beyond it are forgotten, and those candidates measured again. */
const MAX_ENTRIES = 512;

const verdictSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('trying') }),
  z.object({ kind: z.literal('right'), millis: z.number().min(0), memoryBytes: z.number().min(0).optional() }),
  z.object({ kind: z.literal('wrong'), reason: z.string() }),
  z.object({ kind: z.literal('unusable'), reason: z.string() }),
]);
const documentSchema = z.object({ entries: z.array(z.tuple([z.string(), verdictSchema])).max(MAX_ENTRIES) });

/** What the device knows of candidates, by (variant digest, provider, device fingerprint, runtime version). */
export class PlacementMemory {
  readonly #store: KeyValue;
  readonly #entries: Map<string, Verdict>;
  readonly #writes = new ExclusiveQueue();

  private constructor(store: KeyValue, entries: Map<string, Verdict>) {
    this.#store = store;
    this.#entries = entries;
  }

  /** Reads what is stored. What cannot be read is dropped with a warning: every candidate is then measured anew. */
  static async open(store: KeyValue, logger: Logger): Promise<PlacementMemory> {
    const text = await store.get(STORE_KEY);
    if (text === undefined) return new PlacementMemory(store, new Map());
    try {
      const document = parseJson(documentSchema, new TextEncoder().encode(text), { what: 'placement memory', maxBytes: MAX_BYTES });
      return new PlacementMemory(store, new Map(document.entries));
    } catch (cause) {
      if (!(cause instanceof SkerryError)) throw cause;
      logger.warn({ code: cause.code, error: cause.message }, 'the placement memory is unreadable; measuring again');
      return new PlacementMemory(store, new Map());
    }
  }

  recall(key: string): Verdict | undefined {
    return this.#entries.get(key);
  }

  /** Resolves once the verdict survives a power cut. */
  remember(key: string, verdict: Verdict): Promise<void> {
    this.#entries.delete(key);
    this.#entries.set(key, verdict);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES) break;
      this.#entries.delete(oldest);
    }
    const document = JSON.stringify({ entries: [...this.#entries] });
    return this.#writes.run(() => this.#store.set(STORE_KEY, document));
  }
}

/** Key of a candidate on a device; another runtime or changed hardware is another key, so that everything is tried anew. */
export function placementKey(candidate: Candidate, fingerprint: string, runtimeVersion: string): string {
  const parts = [candidate.variant.digest, candidate.provider, fingerprint, runtimeVersion];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
