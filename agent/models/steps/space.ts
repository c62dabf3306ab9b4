import { hasCode } from '#shared/kernel/errors.js';
import type { Handler } from './context.js';

export const evict: Handler<'evict'> = async ({ model, version, digests }, { ledger, blobs, events, progress }) => {
  // The record goes first: a crash in between leaves files of no version, which are swept, and no version without its files.
  const forget = async (): Promise<void> => {
    if (ledger.find(model, version)?.install !== 'bad') await ledger.remove(model, version);
  };
  const noted = await forget().then(
    () => true,
    (cause: unknown) => {
      // R4: where even that finds no space, files have to make it; the plan takes the version for incomplete then.
      if (!hasCode(cause, 'DISK_FULL')) throw cause;
      return false;
    },
  );
  progress.end(model, version);
  for (const digest of digests) await blobs.delete(digest);
  if (!noted) await forget();
  events.emit({ kind: 'version.evicted', model, version, detail: { files: digests.length } });
};

export const sweep: Handler<'sweep'> = async ({ digests }, { blobs }) => {
  for (const digest of digests) await blobs.delete(digest);
};
