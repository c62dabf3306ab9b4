import type { HubKeys } from '#hub/registry/tuf/hub-keys.js';
import { ArtifactFolder } from '#hub/store/artifact-folder.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { lockDataFolder } from '#hub/store/sqlite.js';
import type { Parts } from '#shared/kernel/lifecycle.js';
import { type DataPaths, dataPaths, makeDataFolder, openKeys } from '../data-folder.js';
import type { HubContext } from './context.js';

/** What a hub keeps in its data folder, which is this process's alone. */
export interface Kept {
  readonly paths: DataPaths;
  readonly db: Db;
  readonly storage: ArtifactFolder;
  readonly keys: HubKeys;
}

export async function openKept(parts: Parts, { config, env, logger }: HubContext): Promise<Kept> {
  const paths = dataPaths(config.dataDir);
  await makeDataFolder(paths);
  parts.onClose(lockDataFolder(paths.lock));
  const db = await openDatabase(paths.database, logger);
  parts.onClose(() => db.destroy());
  const storage = await ArtifactFolder.open(paths.artifacts);
  const keys = await openKeys(paths, config, env);
  return { paths, db, storage, keys };
}
