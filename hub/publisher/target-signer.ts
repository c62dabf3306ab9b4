import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { KeySecret } from '#shared/trust/key-file.js';
import type { PublisherHub } from './hub-port.js';
import { withFolderLock } from './folder-lock.js';
import type { VersionPublisher } from './publish.js';
import { type Delivery, deliverPending, signAndDeliver } from './trust-delivery.js';
import type { PublisherFolder } from './trust-folder.js';
import { signVersionTarget } from './trust-sign.js';

interface FolderPublisher {
  readonly folder: PublisherFolder;
  readonly secret: KeySecret;
  readonly hub: PublisherHub;
  readonly clock: Clock;
  /** Publisher role to sign as. */
  readonly role: string;
  /** Told what happens beside the publishing: another command is waited for, something earlier is delivered. */
  readonly note?: (text: string) => void;
}

/**
 * Signs versions with the key in a publisher folder, upon the role's targets file that the hub publishes now, and hands them
 * over. One command at a time changes the folder; what an earlier one left undelivered goes first.
 */
export function folderPublisher({ folder, secret, hub, clock, role, note = () => undefined }: FolderPublisher): VersionPublisher {
  const delivery: Delivery = { folder, hub, clock, command: 'publish', note, as: 'publisher' };
  return {
    exclusive: (use) =>
      withFolderLock({ folder, clock, command: 'publish', onWait: note }, async () => {
        await deliverPending(delivery);
        return use();
      }),
    publish: (model, target, manifest) =>
      signAndDeliver(delivery, async (draft) => {
        const current = (name: string): Promise<Uint8Array | undefined> => hub.metadata(`${name}.json`);
        const { roles } = await signVersionTarget({ folder: draft, secret, clock, role, current, target });
        return { update: { roles }, version: { model, manifest, role } };
      }),
  };
}

/** The publisher role to use: the one asked for, or the only one the folder has a key of. `CLI_USAGE`, `TRUST_ROLE_UNKNOWN`. */
export async function chooseRole(folder: PublisherFolder, wanted: string | undefined): Promise<string> {
  const roles = Object.keys((await folder.record()).publishers);
  if (wanted !== undefined) {
    if (roles.includes(wanted)) return wanted;
    throw new SkerryError(
      'TRUST_ROLE_UNKNOWN',
      `${folder.path} holds no key of the publisher ${wanted}, it holds ${roles.join(', ') || 'none'}`,
    );
  }
  const [only, ...others] = roles;
  if (only === undefined) throw new SkerryError('TRUST_ROLE_UNKNOWN', `${folder.path} holds no publisher key`);
  if (others.length > 0) throw new SkerryError('CLI_USAGE', `${folder.path} holds the keys of ${roles.join(', ')}; choose one with --role`);
  return only;
}

/** Opens the key of a role once, so that a wrong passphrase is known before anything is sent. `TRUST_KEY_SECRET`. */
export async function checkSecret(folder: PublisherFolder, role: string, secret: KeySecret): Promise<void> {
  const known = (await folder.record()).publishers[role];
  if (known !== undefined) await folder.openKey(known.key, secret);
}
