import type { Handler } from './context.js';

export const evict: Handler<'evict'> = async ({ model, version, digests }, { ledger, blobs, events, progress }) => {
  // The record goes first: a crash in between leaves files of no version, which are swept, and no version without its files.
  if (ledger.find(model, version)?.install !== 'bad') await ledger.remove(model, version);
  progress.ended(model, version);
  for (const digest of digests) await blobs.delete(digest);
  events.emit({ kind: 'version.evicted', model, version, detail: { files: digests.length } });
};

export const sweep: Handler<'sweep'> = async ({ digests }, { blobs }) => {
  for (const digest of digests) await blobs.delete(digest);
};
