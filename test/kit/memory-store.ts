import { createHash } from 'node:crypto';
import type { Outbox, OutboxRecord, PartialBlob, StateStore } from '#agent/store/contract.js';
import { clearBit, fullBitmap, hasBit } from '#shared/bundle/bitmap.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** An outbox in memory, without bounds. */
export class MemoryOutbox implements Outbox {
  readonly records: OutboxRecord[] = [];
  readonly #listeners = new Set<() => void>();
  #seq = 0;

  readonly boot: number;

  constructor(boot = 1) {
    this.boot = boot;
  }

  append(kind: OutboxRecord['kind'], payload: Readonly<Record<string, unknown>>): Promise<{ boot: number; seq: number }> {
    this.#seq += 1;
    const position = { boot: this.boot, seq: this.#seq };
    this.records.push({ ...position, kind, payload: Buffer.from(JSON.stringify({ ...payload, ...position })) });
    for (const listener of this.#listeners) listener();
    return Promise.resolve(position);
  }

  peek(afterSeq: number, limit: number): Promise<readonly OutboxRecord[]> {
    return Promise.resolve(this.records.filter((record) => record.seq > afterSeq).slice(0, limit));
  }

  acknowledge(records: readonly { boot: number; seq: number }[]): Promise<void> {
    for (const { boot, seq } of records) {
      const at = this.records.findIndex((record) => record.boot === boot && record.seq === seq);
      if (at !== -1) this.records.splice(at, 1);
    }
    return Promise.resolve();
  }

  stats(): Promise<{ records: number; bytes: number; dropped: number; coarsened: number }> {
    return Promise.resolve({ records: this.records.length, bytes: 0, dropped: 0, coarsened: 0 });
  }

  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onLoss(): () => void {
    return () => undefined;
  }
}

/** A partial file in memory that verifies each piece by its digest, and can be slow or full. */
export class MemoryBlob implements PartialBlob {
  readonly #digests: readonly string[];
  readonly #missing: Uint8Array;
  readonly content: (Uint8Array | undefined)[];
  haveBytes = 0;
  /** Pieces that were offered although they were here. */
  repeated = 0;
  /** Awaited before each write; make it slow or let it throw. */
  beforeWrite: (index: number) => Promise<void> | void = () => undefined;

  constructor(pieces: readonly Uint8Array[]) {
    this.#digests = pieces.map(sha256);
    this.#missing = fullBitmap(pieces.length);
    this.content = pieces.map(() => undefined);
  }

  missing(): Uint8Array {
    return Uint8Array.from(this.#missing);
  }

  async write(index: number, bytes: Uint8Array): Promise<void> {
    if (!hasBit(this.#missing, index)) {
      this.repeated += 1;
      return;
    }
    await this.beforeWrite(index);
    if (sha256(bytes) !== this.#digests[index]) throw new SkerryError('BUNDLE_CHUNK_MISMATCH', `piece ${index} is wrong`);
    this.content[index] = Uint8Array.from(bytes);
    this.haveBytes += bytes.byteLength;
    clearBit(this.#missing, index);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Key-value part of the agent's state in memory; the tables of versions are not set up and throw. */
export function memoryState(): StateStore {
  const values = new Map<string, string>();
  const notSetUp = (): never => {
    throw new Error('the tables of versions are not set up in this fake');
  };
  return {
    get: (key) => Promise.resolve(values.get(key)),
    set: (key, value) => {
      values.set(key, value);
      return Promise.resolve();
    },
    versions: notSetUp,
    putVersion: notSetUp,
    deleteVersion: notSetUp,
    serving: notSetUp,
    commitSwitch: notSetUp,
    deleteServing: notSetUp,
  };
}
