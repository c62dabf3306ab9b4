import { asVersion } from '#shared/trust/target-lookup.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import { digestSchema, type ModelName } from '#shared/bundle/names.js';
import type { PublisherHub } from './hub-port.js';
import { adoptFromHub } from './trust-adopt.js';
import { compareWithHub, type RoleStanding } from './trust-compare.js';
import { type Delivery, deliverKept } from './trust-delivery.js';
import type { PublisherFolder } from './trust-folder.js';

/** What a recovery does with a role: nothing, the folder takes over from the hub, the hub gets it from the folder, or a person decides. */
export type RecoveryAction = 'none' | 'adopt' | 'deliver' | 'decide';

export interface RecoveryStep {
  readonly role: string;
  /** Versions; 0 where there is none. */
  readonly folder: number;
  readonly hub: number;
  readonly action: RecoveryAction;
}

/** Which side counts where each has something that the other never had. */
export type Take = 'hub' | undefined;

/** One step for each role that the folder signs for. Pure. */
export function planRecovery(standings: readonly RoleStanding[], take: Take): readonly RecoveryStep[] {
  return standings.map(({ role, folder, hub, relation }) => ({ role, folder, hub, action: actionOf(relation, take) }));
}

function actionOf(relation: RoleStanding['relation'], take: Take): RecoveryAction {
  if (relation === 'same') return 'none';
  if (relation === 'folder-behind') return 'adopt';
  if (relation === 'hub-behind') return 'deliver';
  return take === 'hub' ? 'adopt' : 'decide';
}

/** Does what the plan says. The folder takes over first, then the hub gets what it lacks. */
export async function recover(delivery: Delivery, take: Take): Promise<void> {
  const { folder, hub } = delivery;
  const draft = folder.draft();
  const standings = await compareWithHub(draft, hub);
  for (const { role, action } of planRecovery(standings, take)) {
    const standing = standings.find((candidate) => candidate.role === role);
    if (action === 'adopt' && standing !== undefined) await adoptFromHub(draft, hub, standing);
  }
  if (await deliverKept(delivery, draft, standings)) return;
  for (const [name, bytes] of draft.files) await folder.write(name, bytes);
  await folder.save(await draft.record());
}

/** A version that the folder's publishers signed and whose content the hub lacks. */
interface LostVersion {
  readonly model: ModelName;
  readonly version: number;
}

/** Versions to be published again from the same file: a hub that was restored lists them, and lacks their content. */
export async function lostVersions(folder: PublisherFolder, hub: PublisherHub): Promise<readonly LostVersion[]> {
  const record = await folder.record();
  const listed: LostVersion[] = [];
  for (const [publisher, { published, models }] of Object.entries(record.publishers)) {
    for (const [role, remembered] of Object.entries({ [publisher]: published, ...models })) {
      const bytes = remembered === undefined ? undefined : await folder.tryRead(`${remembered.version}.${role}.json`);
      if (bytes !== undefined) listed.push(...versionsIn(role, bytes));
    }
  }
  const lost: LostVersion[] = [];
  for (const model of new Set(listed.map((entry) => entry.model))) {
    const there = new Set((await hub.versions(model)).map(({ version }) => Number(version)));
    lost.push(...listed.filter((entry) => entry.model === model && !there.has(entry.version)));
  }
  return lost;
}

function versionsIn(role: string, bytes: Uint8Array): readonly LostVersion[] {
  const { targets } = parseMetadata('targets', bytes, role).metadata.signed;
  return Object.entries(targets).flatMap(([path, target]) => {
    const digest = digestSchema.safeParse(target.hashes['sha256']);
    if (!digest.success) return [];
    const version = asVersion({ path, length: target.length, digest: digest.data, custom: target.custom, role });
    return version === undefined ? [] : [{ model: version.custom.model, version: version.custom.version }];
  });
}
