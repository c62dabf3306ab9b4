import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { decodeTrustUpdate, encodeTrustUpdate, type TrustUpdate, trustUpdateSchema } from '#shared/trust/update.js';
import type { PublisherHub } from './hub-port.js';
import type { PublisherFolder } from './trust-folder.js';

/** A signed update the hub has not taken yet lies here: signing it again would skip a version, which no device follows. */
const OUTGOING = 'outgoing.json';

/** Hands an update to the hub; it stays in the folder until the hub took it, whatever happens in between. */
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
