import type Database from 'better-sqlite3';
import type { CallArguments, CallName, CallResult } from '../calls.js';
import type { StoreLimits } from '../limits.js';
import type { BlobFolder } from './blob-folder.js';
import { BlobHandles } from './blob-handles.js';
import { digestAt, placeBlob } from './place-blob.js';
import { MIGRATIONS } from './migrations.js';
import type { StoredBoots } from './boot.js';
import { OutboxTable } from './outbox-table.js';
import { dropCopies } from './schema-copy.js';
import { StateTables } from './state-tables.js';

export type Handlers = { readonly [K in CallName]: (...args: CallArguments<K>) => CallResult<K> | Promise<CallResult<K>> };

/** What the store thread does for each call; a call without a handler does not compile. */
export function createHandlers(db: Database.Database, blobs: BlobFolder, boot: StoredBoots, limits: StoreLimits): Handlers {
  const state = new StateTables(db);
  const outbox = new OutboxTable(db, boot, limits);
  const handles = new BlobHandles(blobs);
  return {
    get: (key) => state.get(key),
    set: (key, value) => state.set(key, value),
    versions: () => state.versions(),
    putVersion: (record) => state.putVersion(record),
    deleteVersion: (model, version) => state.deleteVersion(model, version),
    serving: () => state.serving(),
    commitSwitch: (serving, records) => state.commitSwitch(serving, records),
    deleteServing: (model) => state.deleteServing(model),

    append: (kind, payload) => outbox.append(kind, payload),
    peek: (afterSeq, limit) => outbox.peek(afterSeq, limit),
    acknowledge: (records) => outbox.acknowledge(records),
    outboxStats: () => outbox.stats(),

    blobHas: (digest) => blobs.has(digest),
    blobRead: (digest, maxBytes) => blobs.read(digest, maxBytes),
    blobOpen: (plan) => handles.open(plan),
    blobWrite: (handle, index, bytes) => handles.write(handle, index, bytes),
    blobFinish: (handle) => handles.finish(handle),
    blobClose: (handle) => handles.close(handle),
    blobVerify: (digest) => blobs.verify(digest),
    blobDelete: (digest) => blobs.delete(digest),
    blobPlace: (digest, path, mode) => placeBlob(blobs, digest, path, mode),
    digestAt: (path) => digestAt(path),
    blobUsage: () => blobs.usage(),
    blobList: async (known) => {
      const inventory = await blobs.inventory();
      return inventory.number === known ? { number: known } : inventory;
    },

    dropCopies: (schema) => dropCopies(db.name, MIGRATIONS.length, schema),

    close: async () => {
      await handles.closeAll();
      db.close();
    },
  };
}
