import type { Generated, Kysely, Transaction } from 'kysely';
import type { ApiTables } from './tables/api-tables.js';
import type { FleetTables } from './tables/fleet-tables.js';
import type { RegistryTables } from './tables/registry-tables.js';
import type { RolloutTables } from './tables/rollout-tables.js';
import type { TelemetryTables } from './tables/telemetry-tables.js';

/** Releases of Skerry that worked with this database, oldest first. */
interface ReleasesTable {
  id: Generated<number>;
  release: string;
  at: number;
}

/** Every table of the hub: by room in `tables/`, their migrations in `migrations/`. */
export interface Database extends ApiTables, RegistryTables, FleetTables, TelemetryTables, RolloutTables {
  releases: ReleasesTable;
}

export type Db = Kysely<Database>;
/** A database or a transaction on it: what a query function takes, so that its caller decides what commits together. */
export type Queryable = Kysely<Database> | Transaction<Database>;
