import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { decodeTrustUpdate, encodeTrustUpdate, type TrustUpdate, trustUpdateSchema } from '#shared/trust/update.js';
import type { PublisherHub } from './hub-port.js';
import type { PublisherFolder } from './trust-folder.js';

/** A signed update the hub has not taken yet lies here: signing it again would skip a version, which no device follows. */
const OUTGOING = 'outgoing.json';

/**
 * Makes a signed update and hands it to the hub. Until the hub took it, it stays in the folder, whatever happens in between;
 * but targets files that the hub found wrong are taken back, so that the next ones follow what is published. A root is never
 * taken back: once signed and shown to anybody, a second root of the same number would split the fleet.
 */
export async function deliverNew(folder: PublisherFolder, hub: PublisherHub, make: () => Promise<TrustUpdate>): Promise<void> {
  const before = await folder.record();
  const update = await make();
  try {
    await deliver(folder, hub, update);
  } catch (cause) {
    if (update.roots === undefined && isRefusal(cause)) {
      await folder.save(before);
      await rm(join(folder.path, OUTGOING), { force: true });
    }
    throw cause;
  }
}

/** The hub looked at the files and found them wrong; not that it was not reached, or did not let the caller in. */
function isRefusal(cause: unknown): boolean {
  return cause instanceof SkerryError && (cause.code.startsWith('TRUST_') || cause.code.startsWith('INPUT_'));
}

/** Hands an update to the hub; it stays in the folder until the hub took it. */
export async function deliver(folder: PublisherFolder, hub: PublisherHub, update: TrustUpdate): Promise<void> {
  const path = join(folder.path, OUTGOING);
  await writeFileAtomic(path, JSON.stringify(encodeTrustUpdate(update)), { mode: 0o600 });
  await hub.putTrust(update);
  await rm(path, { force: true });
}

/** Hands over what an earlier command signed and could not deliver; true when there was something. */
export async function deliverPending(folder: PublisherFolder, hub: PublisherHub): Promise<boolean> {
  const pending = await readPending(folder);
  if (pending === undefined) return false;
  await deliver(folder, hub, pending);
  return true;
}

async function readPending(folder: PublisherFolder): Promise<TrustUpdate | undefined> {
  try {
    const bytes = await readFile(join(folder.path, OUTGOING));
    return decodeTrustUpdate(parseJson(trustUpdateSchema, bytes, { what: OUTGOING, maxBytes: LIMITS.apiBodyBytes }));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw asSkerryError(cause, 'IO_FAILED');
  }
}
