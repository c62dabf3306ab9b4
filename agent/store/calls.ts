import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { ErrorBody } from '#shared/kernel/errors.js';
import type { BlobEntry, BlobPlan, Boot, OutboxRecord, OutboxStats, Position, ServingRecord, VersionRecord } from './contract.js';
import type { StoreLimits } from './limits.js';

/** What an append made the outbox give up for space. */
export interface OutboxLoss {
  readonly dropped: number;
  readonly coarsened: number;
}

export interface OpenedBlob {
  readonly handle: number;
  readonly missing: Uint8Array;
  readonly haveBytes: number;
}

export interface WrittenPiece {
  /** The piece written, and every other one of the same content it filled. */
  readonly filled: readonly number[];
  readonly haveBytes: number;
}

/** Everything the main thread can ask of the store thread; client, dispatcher and handlers derive from it. */
interface StoreCalls {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  versions(): readonly VersionRecord[];
  putVersion(record: VersionRecord): void;
  deleteVersion(model: ModelName, version: VersionNumber): void;
  serving(): readonly ServingRecord[];
  commitSwitch(serving: ServingRecord, records: readonly VersionRecord[]): void;
  deleteServing(model: ModelName): void;

  append(kind: OutboxRecord['kind'], payload: Readonly<Record<string, unknown>>): { position: Position; loss: OutboxLoss };
  peek(afterSeq: number, limit: number): readonly OutboxRecord[];
  acknowledge(records: readonly Position[]): void;
  outboxStats(): OutboxStats;

  blobHas(digest: Digest): boolean;
  blobRead(digest: Digest, maxBytes: number): Uint8Array;
  blobOpen(plan: BlobPlan): OpenedBlob;
  blobWrite(handle: number, index: number, bytes: Uint8Array): WrittenPiece;
  blobFinish(handle: number): void;
  blobClose(handle: number): void;
  blobVerify(digest: Digest): boolean;
  blobDelete(digest: Digest): void;
  blobPlace(digest: Digest, path: string, mode: number): void;
  digestAt(path: string): Digest | undefined;
  blobUsage(): { usedBytes: number; budgetBytes: number };
  /** `entries` is left out when they are those of number `known`. */
  blobList(known: number): { readonly number: number; readonly entries?: readonly BlobEntry[] };

  dropCopies(schema: number | undefined): void;

  /** Ends everything under way and closes the database; the thread then ends by itself. */
  close(): void;
}
export type CallName = keyof StoreCalls;
export type CallArguments<K extends CallName> = Parameters<StoreCalls[K]>;
export type CallResult<K extends CallName> = ReturnType<StoreCalls[K]>;

/** A call on its way to the thread; name and arguments stay tied. */
export type StoreRequest<K extends CallName = CallName> = {
  [P in K]: { readonly id: number; readonly call: P; readonly args: CallArguments<P> };
}[K];

export type ThreadError = Pick<ErrorBody, 'code' | 'message' | 'details'>;

/**
 * What the thread says: once whether it opened, then one reply to each request. `Result` is `never` on the receiving side:
 * only the promise of the call with this id knows the type, and takes the value as it is.
 */
export type StoreMessage<Result = unknown> =
  | { readonly kind: 'opened'; readonly boot: Boot; readonly recovery?: { readonly error: ThreadError; readonly movedTo: string } }
  | { readonly kind: 'refused'; readonly error: ThreadError }
  | { readonly kind: 'result'; readonly id: number; readonly result: Result }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ThreadError };

export interface StoreThreadOptions {
  readonly folder: string;
  readonly limits: StoreLimits;
  /** Wall clock at the start, milliseconds since the epoch: names a database that is moved aside. */
  readonly now: number;
}
