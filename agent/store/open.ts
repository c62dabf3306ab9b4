import { join } from 'node:path';
import type { Clock } from '#shared/kernel/clock.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { OutboxLoss } from './calls.js';
import type { BlobEntry, BlobStore, Boot, Outbox, StateStore } from './contract.js';
import type { StoreLimits } from './limits.js';
import { RemoteBlob } from './remote-blob.js';
import { StoreThread } from './store-thread.js';

interface AgentStoreOptions {
  /** Everything durable of the agent lies below it: `agent.db`, `boot`, `blobs/`. */
  readonly folder: string;
  readonly limits: StoreLimits;
  readonly clock: Clock;
}

export interface AgentStore extends Boot {
  readonly state: StateStore;
  readonly outbox: Outbox;
  readonly blobs: BlobStore;
  /** Set when a damaged database was moved aside at this start; report it. */
  readonly recovery?: { readonly error: SkerryError; readonly movedTo: string };
  /** The store thread ended by itself: nothing can be kept any more, the process should end. */
  onFailure(listener: (error: SkerryError) => void): () => void;
  /** Removes copies of the database kept for older agents; one for an agent that knows up to `schema` stays, as it may run again. */
  dropCopies(schema: number | undefined): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the store of an agent in a thread of its own. Rejects with `STORE_LOCKED` when another process has it open,
 * `STORE_NEWER`, `DISK_FULL`, `IO_FAILED` or `STORE_FAILED`; a damaged database is moved aside and told in `recovery`.
 */
export async function openAgentStore({ folder, limits, clock }: AgentStoreOptions): Promise<AgentStore> {
  const { thread, boot, recovery } = await StoreThread.open({ folder, limits, now: clock.now() });
  const store = {
    state: stateStore(thread),
    outbox: outbox(thread),
    blobs: blobStore(thread, join(folder, 'blobs')),
    ...boot,
    onFailure: (listener: (error: SkerryError) => void) => thread.onFailure(listener),
    dropCopies: (schema: number | undefined) => thread.call('dropCopies', schema),
    close: () => thread.close(),
  };
  return recovery === undefined ? store : { ...store, recovery };
}

function stateStore(thread: StoreThread): StateStore {
  return {
    get: (key) => thread.call('get', key),
    set: (key, value) => thread.call('set', key, value),
    versions: () => thread.call('versions'),
    putVersion: (record) => thread.call('putVersion', record),
    deleteVersion: (model, version) => thread.call('deleteVersion', model, version),
    serving: () => thread.call('serving'),
    commitSwitch: (serving, records) => thread.call('commitSwitch', serving, records),
    deleteServing: (model) => thread.call('deleteServing', model),
  };
}

function outbox(thread: StoreThread): Outbox {
  const appended = new Set<() => void>();
  const lost = new Set<(loss: OutboxLoss) => void>();
  return {
    async append(kind, payload) {
      const { position, loss } = await thread.call('append', kind, payload);
      if (loss.dropped + loss.coarsened > 0) for (const listener of lost) listener(loss);
      for (const listener of appended) listener();
      return position;
    },
    peek: (afterSeq, limit) => thread.call('peek', afterSeq, limit),
    acknowledge: (records) => thread.call('acknowledge', records),
    stats: () => thread.call('outboxStats'),
    onAppend(listener) {
      appended.add(listener);
      return () => appended.delete(listener);
    },
    onLoss(listener) {
      lost.add(listener);
      return () => lost.delete(listener);
    },
  };
}

function blobStore(thread: StoreThread, folder: string): BlobStore {
  let listed: { readonly number: number; readonly entries: readonly BlobEntry[] } = { number: 0, entries: [] };
  return {
    has: (digest) => thread.call('blobHas', digest),
    path: (digest) => join(folder, digest),
    read: (digest, maxBytes) => thread.call('blobRead', digest, maxBytes),
    open: async (plan) => new RemoteBlob(thread, await thread.call('blobOpen', plan)),
    verify: (digest) => thread.call('blobVerify', digest),
    delete: (digest) => thread.call('blobDelete', digest),
    place: (digest, path, mode) => thread.call('blobPlace', digest, path, mode),
    digestAt: (path) => thread.call('digestAt', path),
    usage: () => thread.call('blobUsage'),
    async list() {
      const { number, entries } = await thread.call('blobList', listed.number);
      // Answers may overtake one another; an older one is not kept.
      if (entries !== undefined && number > listed.number) listed = { number, entries };
      return listed.entries;
    },
  };
}
