import type { Generated, Kysely, Transaction } from 'kysely';
import type { ApiTables } from '#hub/api/tables.js';
import type { FleetTables } from '#hub/fleet/tables.js';
import type { RegistryTables } from '#hub/registry/tables.js';
import type { RolloutTables } from '#hub/rollouts/tables.js';
import type { TelemetryTables } from '#hub/telemetry/tables.js';

/** Releases of Skerry that worked with this database, oldest first. */
interface ReleasesTable {
  id: Generated<number>;
  release: string;
  at: number;
}

/** Every table of the hub: each room states its own in `hub/<room>/tables.ts` and its migration in `migrations/`. */
export interface Database extends ApiTables, RegistryTables, FleetTables, TelemetryTables, RolloutTables {
  releases: ReleasesTable;
}

export type Db = Kysely<Database>;
/** A database or a transaction on it: what a query function takes, so that its caller decides what commits together. */
export type Queryable = Kysely<Database> | Transaction<Database>;
