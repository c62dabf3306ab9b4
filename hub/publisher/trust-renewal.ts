import type { TrustUpdate } from '#shared/trust/update.js';
import type { PublisherHub } from './hub-port.js';
import { type Ceremony, renewTrust } from './trust-keeper.js';
import { renewPublisher } from './trust-sign.js';

/** Signs again, with new expiry dates, everything a folder has keys for and the hub publishes: root and targets, its publishers' files and those of their models. */
export async function renewFolder(options: Ceremony, hub: PublisherHub): Promise<TrustUpdate> {
  const { folder, secret, clock } = options;
  const record = await folder.record();
  const update: TrustUpdate = record.keeper === undefined ? {} : await renewTrust(options);
  const roles: Record<string, Uint8Array> = {};
  for (const role of Object.keys(record.publishers)) {
    const current = (name: string): Promise<Uint8Array | undefined> => hub.metadata(`${name}.json`);
    // A publisher that asked and was not let in yet has nothing to renew.
    if ((await current(role)) !== undefined) Object.assign(roles, await renewPublisher({ folder, secret, clock, role, current }));
  }
  return { ...update, roles };
}
