import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fleetIdSchema } from '#shared/protocol/device.js';
import { type KeySecret, openOrCreateKeyFile, type ScryptCost } from '#shared/trust/key-file.js';
import type { SigningKey } from '#shared/trust/keys.js';
import type { HubPublicKeys } from '#shared/trust/update.js';

/** The keys a hub may hold: they say what is newest and which device should run what, never which models are right (R1). */
export interface HubKeys {
  readonly snapshot: SigningKey;
  readonly timestamp: SigningKey;
  readonly director: SigningKey;
}

/** Opens the hub's sealed keys in `folder`; makes those that are not there (first start). */
export async function openHubKeys(folder: string, secret: KeySecret, cost?: ScryptCost): Promise<HubKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const key = (name: string): Promise<SigningKey> => openOrCreateKeyFile(join(folder, `${name}.key.json`), secret, cost);
  const [snapshot, timestamp, director] = await Promise.all([key('snapshot'), key('timestamp'), key('director')]);
  return { snapshot, timestamp, director };
}

/** What `skerry trust init` needs to know of a hub. */
export function hubPublicKeys(fleet: string, keys: HubKeys): HubPublicKeys {
  return {
    fleet: fleetIdSchema.parse(fleet),
    snapshot: keys.snapshot.publicKey,
    timestamp: keys.timestamp.publicKey,
    director: keys.director.publicKey,
  };
}
