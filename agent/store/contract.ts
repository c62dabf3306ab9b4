import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { InstallState } from '#shared/protocol/messages.js';

/** Durable facts about one version on this device. */
export interface VersionRecord {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly manifest: Digest;
  readonly install: InstallState;
  /** Agent starts since the version began serving, or began to be tried, without it reaching `good`. */
  readonly boots: number;
  /** The desired state's `attempt` under which it was installed or marked bad. */
  readonly attempt: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly lastUsedAt: number;
}

/** Which version of a model serves and which is kept to go back to. */
export interface ServingRecord {
  readonly model: ModelName;
  readonly serving: VersionNumber;
  readonly lastKnownGood: VersionNumber | undefined;
}

/**
 * The agent's tables. Every method resolves once what it wrote survives a power cut (SQLite, WAL, synchronous=FULL).
 * The database lives in the store thread: no call here blocks the event loop.
 */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
  versions(): Promise<readonly VersionRecord[]>;
  putVersion(record: VersionRecord): Promise<void>;
  deleteVersion(model: ModelName, version: VersionNumber): Promise<void>;
  serving(): Promise<readonly ServingRecord[]>;
  /** Writes the serving record and both versions' records in one transaction. */
  commitSwitch(serving: ServingRecord, records: readonly VersionRecord[]): Promise<void>;
  deleteServing(model: ModelName): Promise<void>;
}

/** One start of the agent. */
export interface Boot {
  /** Number of the start; grows with every start of a data folder. */
  readonly boot: number;
  /** Random: a copy of the data folder counts on from the same number, and is told apart by this. */
  readonly bootId: string;
  /** The start before it, where that is known. */
  readonly afterBootId?: string;
}

/** Where a record stands in the outbox. `bootId` is left out for records that older agents made. */
export interface Position {
  readonly boot: number;
  readonly bootId?: string | undefined;
  readonly seq: number;
}

export interface OutboxRecord extends Position {
  readonly kind: 'event' | 'telemetry';
  readonly payload: Uint8Array;
}

export interface OutboxStats {
  readonly records: number;
  readonly bytes: number;
  /** Records given up for space since the database was made. */
  readonly dropped: number;
  /** Telemetry records merged into a coarser one for space. */
  readonly coarsened: number;
}

/** Durable queue of what the hub has not acknowledged; bounded, oldest and coarsest first (R4). */
export interface Outbox {
  /** Stores `payload` with its position (`boot`, `seq`) added, encoded as the wire wants it (JSON events, CBOR telemetry). Returns the position. */
  append(kind: OutboxRecord['kind'], payload: Readonly<Record<string, unknown>>): Promise<Position>;
  /** Oldest first, those after `afterSeq`, at most `limit`. */
  peek(afterSeq: number, limit: number): Promise<readonly OutboxRecord[]>;
  /** Forgets these records; one whose `bootId` is another's is left alone, since it belongs to a copy of this device. */
  acknowledge(records: readonly Position[]): Promise<void>;
  stats(): Promise<OutboxStats>;
  /** Called after an append, so that the pump wakes up. */
  onAppend(listener: () => void): () => void;
  /** Called when an append made the outbox give something up for space, with how much by this append. */
  onLoss(listener: (loss: { readonly dropped: number; readonly coarsened: number }) => void): () => void;
}

/** One file of the cache. `bytes` of an incomplete one is what is reserved for it. */
export interface BlobEntry {
  readonly digest: Digest;
  readonly bytes: number;
  readonly complete: boolean;
}

/** The content-addressed folder of models: complete files, and downloads under way. */
export interface BlobStore {
  has(digest: Digest): Promise<boolean>;
  /** Absolute path of a complete, verified file. */
  path(digest: Digest): string;
  read(digest: Digest, maxBytes: number): Promise<Uint8Array>;
  /**
   * Opens (or resumes) a download. Pieces already in the partial file, or contained in complete artifacts listed in
   * `reuse`, are verified by their digests and count as present.
   */
  open(blob: BlobPlan): Promise<PartialBlob>;
  /** Hashes a complete file again; one that is damaged is deleted. True when it is there and whole. */
  verify(digest: Digest): Promise<boolean>;
  delete(digest: Digest): Promise<void>;
  /**
   * Puts a complete file, hashed again, at `path` outside of the store (same file system: without a copy) with permission bits
   * `mode`; whatever moment the power goes, `path` leads to what was there or to the whole file. It stays in the cache, too.
   * Throws `STORE_BLOB_MISSING`, `STORE_BLOB_CORRUPT`, `DISK_FULL`, `IO_FAILED`.
   */
  place(digest: Digest, path: string, mode: number): Promise<void>;
  /** SHA-256 of any file; `undefined` when there is none. */
  digestAt(path: string): Promise<Digest | undefined>;
  usage(): Promise<{ readonly usedBytes: number; readonly budgetBytes: number }>;
  /** The very same list as long as nothing came or went. */
  list(): Promise<readonly BlobEntry[]>;
}

export interface BlobPlan {
  readonly digest: Digest;
  readonly length: number;
  /** Offset, length and (for artifacts) digest of each piece, in order. */
  readonly pieces: readonly { readonly length: number; readonly digest?: Digest }[];
  /** Complete artifacts whose chunks may be copied instead of fetched: chunk lists in file order. */
  readonly reuse: readonly { readonly digest: Digest; readonly chunks: readonly (readonly [Digest, number])[] }[];
  /** Files outside of the store, which are cut to see what of them can be copied; one that cannot be read is passed over. */
  readonly reuseFiles?: readonly string[];
}

export interface PartialBlob {
  /** Bitmap of missing pieces, piece i at bit (i & 7) of byte (i >> 3). */
  missing(): Uint8Array;
  readonly haveBytes: number;
  /** Verifies and writes one piece; a piece that is already here is ignored; a wrong one is refused with `BUNDLE_CHUNK_MISMATCH`. */
  write(index: number, bytes: Uint8Array): Promise<void>;
  /** Verifies the whole digest, syncs, renames into place. */
  finish(): Promise<void>;
  close(): Promise<void>;
}
