import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { KeySecret } from '#shared/trust/key-file.js';
import { withFolderLock } from './folder-lock.js';
import type { PublisherHub } from './hub-port.js';
import { type Delivery, deliverPending, signAndDeliver } from './trust-delivery.js';
import type { PublisherFolder } from './trust-folder.js';
import { retireVersions } from './trust-sign.js';

interface RetireDeps {
  readonly folder: PublisherFolder;
  readonly secret: KeySecret;
  readonly hub: PublisherHub;
  readonly clock: Clock;
  /** Publisher role to sign as. */
  readonly role: string;
  readonly note?: (text: string) => void;
}

/** Signs that versions of a model are retired, and has the hub delete them; false where they were signed as retired before. */
export function retire(
  { folder, secret, hub, clock, role, note = () => undefined }: RetireDeps,
  model: ModelName,
  versions: readonly VersionNumber[],
): Promise<boolean> {
  const delivery: Delivery = { folder, hub, clock, command: 'model retire', note, as: 'publisher' };
  return withFolderLock({ folder, clock, command: 'model retire', onWait: note }, async () => {
    await deliverPending(delivery);
    const current = (name: string): Promise<Uint8Array | undefined> => hub.metadata(`${name}.json`);
    const sign = (draft: PublisherFolder): ReturnType<typeof retireVersions> =>
      retireVersions({ folder: draft, secret, clock, role, current, model, versions });
    const { roles, changed } = await sign(folder.draft());
    // What was signed before may not have been done: a hub put back to a backup has versions that it lists as retired.
    if (!changed) {
      await hub.retireVersions(model, { versions, role, files: roles });
      return false;
    }
    await signAndDeliver(delivery, async (draft) => ({
      update: { roles: (await sign(draft)).roles },
      retire: { model, versions: [...versions], role },
    }));
    return true;
  });
}
