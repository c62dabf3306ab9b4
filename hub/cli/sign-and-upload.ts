import type { VersionNumber } from '#shared/bundle/names.js';
import { type Output, printNote } from '#shared/terminal/output.js';
import { createProgress, type Progress } from '#shared/terminal/progress.js';
import type { BuiltRelease, BuiltVersion } from '../publisher/build.js';
import type { PublisherHub } from '../publisher/hub-port.js';
import { type PublishResult, publishVersion } from '../publisher/publish.js';
import { checkSecret, chooseRole, folderPublisher } from '../publisher/target-signer.js';
import { showPublish } from './publish-view.js';
import { openPublisher, openSecret, type PublisherCliDeps, type PublisherFlags } from './publisher-deps.js';

/** What commands are told that publish something. */
export interface UploadFlags extends PublisherFlags {
  readonly version?: VersionNumber;
  readonly minVersion?: VersionNumber;
  readonly description?: string;
  readonly role?: string;
}

export interface Upload {
  /** Makes what is published, once everything that can be missing is there. */
  readonly build: (out: Output, progress: Progress) => Promise<BuiltVersion | BuiltRelease>;
  /** Throws where the publisher may not sign such a thing. */
  readonly checkMaySign?: (hub: PublisherHub, role: string) => Promise<void>;
}

/** Builds, signs as the publisher of the folder, and uploads. Errors: those of `chooseRole`, `checkSecret`, the build and `publishVersion`. */
export async function signAndUpload(deps: PublisherCliDeps, flags: UploadFlags, { build, checkMaySign }: Upload): Promise<PublishResult> {
  // What can be missing is asked for first, before minutes go into the build.
  const { out, hub, folder } = await openPublisher(deps, flags);
  const role = await chooseRole(folder, flags.role);
  await checkMaySign?.(hub, role);
  const secret = await openSecret(out, flags);
  await checkSecret(folder, role, secret);
  const progress = await createProgress(out);
  try {
    const built = await build(out, progress);
    const options = {
      ...(flags.version === undefined ? {} : { version: flags.version }),
      ...(flags.minVersion === undefined ? {} : { minimumVersion: flags.minVersion }),
    };
    const publisher = folderPublisher({ folder, secret, hub, clock: deps.clock, role, note: (text) => printNote(out, text) });
    return await publishVersion(built, options, { hub, publisher, clock: deps.clock }, showPublish(out, progress));
  } finally {
    progress.close();
  }
}
