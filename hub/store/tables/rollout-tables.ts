import type { Generated } from 'kysely';
import type { EpochMillis } from '#shared/kernel/time.js';

// The names of states, events and statuses are those of hub/rollouts; whoever reads a row narrows them.

export interface RolloutsTable {
  /** Order of creation. */
  number: Generated<number>;
  id: string;
  model: string;
  version: number;
  state: string;
  decisions: number;
  /** JSON of the record without its plan (hub/rollouts/record.ts); written anew with each decision. */
  record: string;
  /** JSON of the plan, which names every device: written once. */
  plan: string;
  created_at: EpochMillis;
}

export interface RolloutDevicesTable {
  rollout: string;
  device: string;
  /** Order of the slice within the rollout. */
  place: number;
  wave: number | null;
  status: string;
  told_at: EpochMillis | null;
  previous_version: number | null;
  previous_manifest: string | null;
  error_code: string | null;
  error_message: string | null;
  released_why: string | null;
  released_at: EpochMillis | null;
}

interface RolloutDecisionsTable {
  rollout: string;
  number: number;
  at: EpochMillis;
  event: string;
  actor: string;
  /** JSON of the whole decision, figures and results included. */
  decision: string;
}

/** What a device did before the evidence of a rollout began; the device '' stands for all together. */
interface RolloutBaselinesTable {
  rollout: string;
  device: string;
  /** When the evidence began that it belongs to. */
  begun: EpochMillis;
  /** JSON (hub/rollouts/adapters/baseline-text.ts). */
  baseline: string;
}

interface CohortsTable {
  name: string;
  /** Canonical selector. */
  selector: string;
  updated_at: EpochMillis;
  updated_by: string;
}

export interface RolloutTables {
  rollouts: RolloutsTable;
  rollout_devices: RolloutDevicesTable;
  rollout_decisions: RolloutDecisionsTable;
  rollout_baselines: RolloutBaselinesTable;
  cohorts: CohortsTable;
}
