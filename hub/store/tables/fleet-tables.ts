import type { Generated } from 'kysely';
import type { EpochMillis } from '#shared/kernel/time.js';

export interface DevicesTable {
  id: string;
  /** Ed25519, hex. */
  public_key: string;
  /** JSON: what the device says of itself, at enrolment and in its reports. */
  device_labels: string;
  /** JSON: set by the token it enrolled with and by operators; null takes a label of the device away. Wins over `device_labels`. */
  hub_labels: string;
  /** JSON: the two above merged; what selectors see. */
  labels: string;
  /** JSON. */
  capabilities: string;
  agent_version: string;
  /** Hex; the password itself is told to the device once and kept nowhere. A removed device keeps it, for the day it is restored. */
  password_sha256: string;
  /** The same password as mosquitto wants it, for an external broker's password file. */
  password_mosquitto: string;
  /** Enrolment token it came with. */
  token_id: string;
  /** When its key was first enrolled; enrolling again with the same key changes nothing. */
  enrolled_at: EpochMillis;
  revoked_at: EpochMillis | null;
}

/** What is known of a device now; one row per device, made when it first speaks. */
export interface DeviceStatesTable {
  device: string;
  /** JSON of the newest reported state (shared/protocol/messages.ts). */
  reported: string | null;
  reported_boot: number;
  /** Names the start; null for agents that do not. */
  reported_boot_id: string | null;
  /** By the device's clock. */
  reported_at: EpochMillis;
  reported_received_at: EpochMillis | null;
  /** Another number for every other reported state, so that it is parsed only when it changed. */
  revision: number;
  presence: 'online' | 'offline' | null;
  presence_session: string | null;
  presence_boot: number;
  presence_boot_id: string | null;
  presence_connection: number;
  /** By the hub's clock. */
  presence_changed_at: EpochMillis | null;
  /** JSON (device-starts.ts): starts of its agent that were heard. */
  starts: string | null;
}

/** What the hub noticed of a device (device-marks.ts). */
interface DeviceMarksTable {
  device: string;
  mark: string;
  since: EpochMillis;
  message: string;
}

export interface EnrolmentTokensTable {
  id: string;
  name: string;
  secret_sha256: string;
  /** JSON: labels every device gets that enrols with it. */
  labels: string;
  max_uses: number;
  uses: number;
  expires_at: EpochMillis;
  created_at: EpochMillis;
  created_by: string;
  revoked_at: EpochMillis | null;
  /** The only device it lets in, under a key of its own or a new one; null for any new device. */
  device: string | null;
}

/** Keys that a device had before it was replaced: they let nobody in again. */
interface RetiredKeysTable {
  public_key: string;
  device: string;
  retired_at: EpochMillis;
}

/** A decision "devices matching the selector should run this version"; for each model the newest that matches a device counts. */
export interface DeploymentsTable {
  id: Generated<number>;
  model: string;
  /** Null takes the model off the devices; so is the digest then. */
  version: number | null;
  manifest_digest: string | null;
  selector: string;
  attempt: number;
  created_at: EpochMillis;
  created_by: string;
  /** The rollout that left it when it completed. */
  rollout: string | null;
  /** From then on it counts for nobody. */
  withdrawn_at: EpochMillis | null;
  /** JSON: devices that were taken out of the rollout that left it; it is not for them. */
  excluded: string | null;
  /** Who withdrew it; null where the rollout that left it was rolled back. */
  withdrawn_by: string | null;
}

/** What each device should run, one row per device and model; the newest decision, not the history. */
export interface DesiredModelsTable {
  device: string;
  model: string;
  version: number;
  manifest_digest: string;
  attempt: number;
  /** Who decided: `deployment:12`, `rollout:...`. */
  source: string;
  decided_at: EpochMillis;
  /** JSON (shared/protocol/desired-rollout.ts): a version to have loaded beside it. */
  candidate: string | null;
  /** JSON: the rollout the entry belongs to, with what the device holds the version to. */
  rollout: string | null;
}

/** The newest signed statement to each device. */
export interface DesiredStatesTable {
  device: string;
  counter: number;
  /** The signed bytes, published retained as they are. */
  envelope: Uint8Array;
  /** SHA-256 of the models named in it: equal content is not signed again. */
  content_sha256: string;
  /** Key it was signed with (TUF key id). */
  key_id: string;
  issued_at: EpochMillis;
  expires_at: EpochMillis;
}

/** What a device may fetch: versions its desired states named (hub/fleet/fetch-rights.ts). */
export interface FetchRightsTable {
  device: string;
  model: string;
  version: number;
  told_at: EpochMillis;
}

/** What the hub keeps of itself beside its settings. */
interface HubNotesTable {
  name: string;
  /** JSON. */
  value: string;
}

export interface FleetTables {
  hub_notes: HubNotesTable;
  fetch_rights: FetchRightsTable;
  devices: DevicesTable;
  device_states: DeviceStatesTable;
  device_marks: DeviceMarksTable;
  enrolment_tokens: EnrolmentTokensTable;
  retired_keys: RetiredKeysTable;
  deployments: DeploymentsTable;
  desired_models: DesiredModelsTable;
  desired_states: DesiredStatesTable;
}
