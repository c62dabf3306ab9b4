import { printNote } from '#shared/terminal/output.js';
import { isOnNfs, withFolderLock } from '../publisher/folder-lock.js';
import type { Delivery } from '../publisher/trust-delivery.js';
import type { OpenedPublisher, PublisherCliDeps } from './publisher-deps.js';

/** Runs a command that changes the folder while no other one does. */
export async function exclusively<T>(
  { out, hub, folder }: OpenedPublisher,
  deps: PublisherCliDeps,
  command: string,
  use: (delivery: Delivery) => Promise<T>,
): Promise<T> {
  const note = (text: string): void => printNote(out, text);
  const { clock } = deps;
  return withFolderLock({ folder, clock, command, onWait: note }, async () => {
    if (await isOnNfs(folder)) note(NFS_NOTE);
    return use({ folder, hub, clock, command, note });
  });
}

const NFS_NOTE =
  'the publisher folder lies on NFS: it is locked against other commands only where server and clients have lock managers; use it from one machine at a time';
