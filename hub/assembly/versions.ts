import { HubClock } from '#hub/clock/hub-clock.js';
import { fleetUsers } from '#hub/fleet/version-users.js';
import { ArtifactUploads } from '#hub/registry/artifact-uploads.js';
import { Registry } from '#hub/registry/registry.js';
import { SqlTufStorage } from '#hub/registry/sql-tuf-storage.js';
import { TufRepository } from '#hub/registry/tuf/repository.js';
import { VersionStore } from '#hub/registry/version-store.js';
import { rolloutUsers } from '#hub/rollouts/version-users.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { HubContext } from './context.js';
import type { Kept } from './kept.js';
import type { Alerts } from './people.js';

/** What the hub signs, and whether its clock may date it. */
export interface Trust {
  readonly hubClock: HubClock;
  readonly tuf: TufRepository;
  /** Signs the timestamp again; a failure is logged. */
  readonly resign: () => Promise<void>;
}

export async function openTrust({ config, clock, logger }: HubContext, { db, keys }: Kept, { hub }: Alerts): Promise<Trust> {
  const hubClock = new HubClock({ clock, logger, onChange: (verdict, at) => hub.clock(verdict, at) });
  const guard = { require: () => hubClock.require(), signed: (at: number) => hubClock.signed(at) };
  const tuf = await TufRepository.open({ storage: new SqlTufStorage(db, clock), keys, fleet: config.fleet, clock, guard });
  const resign = async (): Promise<void> => {
    await tuf.resign().catch((cause: unknown) => {
      logger.error({ code: asSkerryError(cause).code, cause: asSkerryError(cause).message }, 'the timestamp could not be renewed');
    });
  };
  hubClock.begin(tuf.signedAt());
  hubClock.onCredible(() => void resign());
  return { hubClock, tuf, resign };
}

/** Models and their versions. */
export interface Versions {
  readonly store: VersionStore;
  readonly uploads: ArtifactUploads;
  readonly registry: Registry;
}

export async function openVersions({ bus, clock, logger }: HubContext, { db, storage }: Kept, { tuf }: Trust): Promise<Versions> {
  const store = new VersionStore(db);
  const uploads = new ArtifactUploads(storage, store, clock);
  // Before anybody can upload: what is found here is of no upload under way.
  const adopted = await uploads.adoptUnknown();
  if (adopted > 0) logger.warn({ artifacts: adopted }, 'artifacts of incomplete uploads deleted');
  const registry = new Registry({ store, storage, tuf, users: [fleetUsers, rolloutUsers], live: bus, clock, logger });
  return { store, uploads, registry };
}
