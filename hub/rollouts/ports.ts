import type { Standing } from '#hub/fleet/standing.js';
import type { Queryable } from '#hub/store/database.js';
import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId, Labels } from '#shared/protocol/device.js';
import type { Signature } from '#shared/tensor/narrowing.js';
import type { DesiredGuard } from '#shared/protocol/desired-rollout.js';
import type { Runnable } from './decide/capability.js';
import type { Observation } from './decide/devices.js';
import type { TrialOutcome } from './decide/trial-outcome.js';
import type { WAVE_ACTIONS, PlanDevice } from './decide/plan.js';
import type { Decision, RolloutDevice, RolloutRecord } from './record.js';
import type { RolloutState } from './decide/machine.js';

// What the rollouts need from the rest of the hub; `app` joins them, the simulator and the tests bring their own.

export interface Target {
  readonly version: VersionNumber;
  readonly manifest: Digest;
}

/** What one device should do with the rollout's model. */
export interface Wish {
  readonly device: DeviceId;
  readonly model: ModelName;
  /** Null takes the model away (there was none before the rollout). */
  readonly target: Target | null;
  /** `serve` unless the strategy says otherwise; the version served before stays the main one for the others, and `alone` ends them. */
  readonly action: (typeof WAVE_ACTIONS)[number] | 'alone';
  /** Share of the requests a shadow sees or a split answers, 0 to 1. */
  readonly share: number;
  readonly sticky: 'key' | 'device';
  readonly attempt: number;
  readonly wave: number;
  /** What the device itself holds the version to during its own trial. */
  readonly guard: DesiredGuard;
  /** `rollout:<id>`. */
  readonly source: string;
  readonly decidedAt: EpochMillis;
}

/** One change of a rollout; all of it is stored or nothing (R8: before anything is acted on). */
export interface Change {
  readonly record: RolloutRecord;
  /** Number of decisions the change was made on; `ROLLOUT_CHANGED` when the stored record has another. */
  readonly expected: number;
  /** Present exactly when the record moved. */
  readonly decision?: Decision;
  readonly devices: readonly RolloutDevice[];
  readonly wishes: readonly Wish[];
  /** What the rollout leaves behind for devices that come later, or takes back. */
  readonly standing?: { readonly leave: Standing } | { readonly withdraw: EpochMillis };
}

export interface RolloutPage {
  readonly state?: RolloutState | undefined;
  /** Only rollouts older than this one: the next page. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export interface RolloutStore {
  /** Stores a new rollout, in one transaction with what ends those it takes over from. */
  create(record: RolloutRecord, devices: readonly RolloutDevice[], ended?: readonly Change[]): Promise<void>;
  /** Resolves with devices to issue for besides those of the wishes: whom the standing deployment reaches first. */
  commit(change: Change): Promise<readonly DeviceId[]>;
  /** Stores what ends rollouts, which leave nothing standing, in one transaction with what `write` writes in their place. */
  replace<T>(ended: readonly Change[], write: (trx: Queryable) => Promise<T>): Promise<T>;
  /** Throws `ROLLOUT_UNKNOWN`. */
  read(id: string): Promise<RolloutRecord>;
  /** Newest first; those in the given states, or all. */
  list(states?: readonly RolloutState[]): Promise<RolloutRecord[]>;
  /** By wave, then in the order of the slice. */
  devices(id: string): Promise<RolloutDevice[]>;
  /** Ids of a page of rollouts, newest first; throws `ROLLOUT_UNKNOWN` for a `before` that there is not. */
  page(page: RolloutPage): Promise<string[]>;
  decisions(id: string): Promise<Decision[]>;
}

/** The fleet as rollouts see it. */
export interface FleetPort {
  /** Every device that belongs to the fleet now. */
  members(): Promise<readonly PlanDevice[]>;
  /** Labels of those of the devices that belong to the fleet now. */
  labelsOf(devices: readonly DeviceId[]): Promise<ReadonlyMap<DeviceId, Labels>>;
  /** What each device is to run of a model now, by the newest wish or else by its own report. */
  current(model: ModelName, devices: readonly DeviceId[]): Promise<ReadonlyMap<DeviceId, Target>>;
  /** What the devices' reports say of these wishes; reports older than the wish count as nothing said. */
  observe(
    wishes: readonly Pick<Wish, 'device' | 'model' | 'target' | 'action' | 'decidedAt'>[],
  ): Promise<ReadonlyMap<DeviceId, Observation>>;
  /**
   * Devices that still are where this rollout, or what it left standing, wished them to be, and what they would run of its model without
   * it; null for nothing.
   */
  held(rollout: string, model: ModelName): Promise<ReadonlyMap<DeviceId, Target | null>>;
  /** Signs and publishes what follows from stored wishes; does nothing for a device whose statement says that already. */
  issue(devices: readonly DeviceId[]): Promise<void>;
}

export interface RegistryPort {
  /** Throws when there is no such version. Releases of the agent have no signature. */
  version(
    model: ModelName,
    version: VersionNumber,
  ): Promise<{ readonly manifest: Digest; readonly runnable: Runnable; readonly signature?: Signature }>;
}

export interface CohortsPort {
  /** Canonical selector saved under a name; throws `COHORT_UNKNOWN`. */
  saved(name: string): Promise<string>;
}

export interface TrialOutcomeQuery {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly from: EpochMillis;
  readonly to: EpochMillis;
  /** Devices whose windows of the version count, and those whose windows of others do. */
  readonly fresh: { has(device: string): boolean };
  /** Requests refused for what callers sent count as failed (`Plan.narrowed`). */
  readonly countRefused?: boolean;
  readonly old: { has(device: string): boolean };
}

/** Both versions side by side. */
export interface TrialOutcomeSource {
  outcome(query: TrialOutcomeQuery): Promise<TrialOutcome>;
}

export const ALERT_KINDS = ['paused', 'rolling-back', 'rolled-back', 'approval-needed', 'near-limit', 'completed', 'aborted'] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

export interface RolloutAlert {
  readonly kind: AlertKind;
  readonly at: EpochMillis;
  readonly rollout: string;
  readonly model: string;
  readonly version: number;
  readonly wave: number;
  readonly state: RolloutState;
  readonly reason: string;
  readonly actor: string;
}

export interface AlertSink {
  /** Must not throw and must not wait for the network. */
  notify(alert: RolloutAlert): void;
}
