import type { Kysely, Migration, MigrationProvider } from 'kysely';
import type { SqlTypes } from '../dialect.js';
import { createApiTables } from './api.js';
import { addCandidates } from './candidates.js';
import { addDeviceStarts } from './device-starts.js';
import { addEventFilters } from './event-filters.js';
import { addFetchRights } from './fetch-rights.js';
import { createFleetTables } from './fleet.js';
import { addIncremental } from './incremental.js';
import { addReplacement } from './replacement.js';
import { createReleasesTable } from './releases.js';
import { addMembership } from './membership.js';
import { createHubNotes } from './hub-notes.js';
import { createRegistryTables } from './registry.js';
import { createRolloutTables } from './rollouts.js';
import { addStanding } from './standing.js';
import { createTelemetryTables } from './telemetry.js';
import { addUndoing } from './undoing.js';

type MigrationStep = (db: Kysely<unknown>, types: SqlTypes) => Promise<void>;

/**
 * Every migration by name, applied in the order of the names; one that has been released is never changed again. They are
 * in the code and not in a folder, so that a single-file build carries them.
 */
const MIGRATIONS: Readonly<Record<string, MigrationStep>> = {
  '0001_api': createApiTables,
  '0002_registry': createRegistryTables,
  '0003_fleet': createFleetTables,
  '0004_telemetry': createTelemetryTables,
  '0005_rollouts': createRolloutTables,
  '0006_candidates': addCandidates,
  '0007_standing': addStanding,
  '0008_incremental': addIncremental,
  '0009_event_filters': addEventFilters,
  '0010_fetch_rights': addFetchRights,
  '0011_releases': createReleasesTable,
  '0012_device_starts': addDeviceStarts,
  '0013_membership': addMembership,
  '0014_replacement': addReplacement,
  '0015_hub_notes': createHubNotes,
  '0016_undoing': addUndoing,
};

export function migrationProvider(types: SqlTypes): MigrationProvider {
  const migrations: Record<string, Migration> = {};
  for (const [name, step] of Object.entries(MIGRATIONS)) {
    migrations[name] = { up: (db: Kysely<unknown>) => step(db, types) };
  }
  return { getMigrations: () => Promise.resolve(migrations) };
}
