import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { Millis } from '#shared/kernel/time.js';
import type { Signature } from '#shared/tensor/narrowing.js';
import type { ServableState } from '#shared/protocol/messages.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import type { TrafficPolicy } from '#agent/inference/contract.js';
import type { BlobEntry, ServingRecord, VersionRecord } from '#agent/store/contract.js';
import type { GuardLimits, TrialFigures } from './guard.js';
import type { HeldStep, StepError } from '#agent/install/decide/install-step.js';

/** What the manifest says that planning needs; only files this device can use count. */
export interface ManifestFacts {
  /** False when no variant can run here. */
  readonly usable: boolean;
  /** Artifacts to have: usable variants and golden samples. */
  readonly artifacts: readonly { readonly digest: Digest; readonly length: number }[];
  /** Memory the most modest usable variant needs to load, bytes; 0 when the publisher did not say. */
  readonly loadBytes: number;
  /** What the version takes and gives. */
  readonly signature: Signature;
}

export interface VersionFacts {
  readonly record: VersionRecord;
  /** `undefined` while the manifest is not on this device. */
  readonly manifest: ManifestFacts | undefined;
  /** Left out when it is not in the runtime. */
  readonly servable?: {
    readonly state: ServableState;
    readonly error?: StepError;
    /** Since when it is available, monotonic. */
    readonly since?: Millis;
  };
  /** How often it stopped serving by itself since the agent started, or since it stood for long. */
  readonly failures: number;
}

export interface ModelSnapshot {
  readonly model: ModelName;
  /** What the hub wants; `undefined` when it names no version (see `desiredKnown`). */
  readonly desired: DesiredModel | undefined;
  readonly serving: ServingRecord | undefined;
  /** Where requests without a version go now. */
  readonly routed: VersionNumber | undefined;
  readonly versions: readonly VersionFacts[];
  /** Since when it is taken off this device and its files wait to be collected, monotonic. */
  readonly offSince?: Millis;
  /** Lowest version the publisher allows; 0 when not known. */
  readonly minimumVersion: number;
  /** Since when the serving version serves without failing, monotonic; `undefined` when it does not. */
  readonly servingSince: Millis | undefined;
  /** Manifest already said no to under an installed version number. */
  readonly refusedManifest: Digest | undefined;
  readonly held: readonly HeldStep[];
  /** What the runtime does with a version beside the routed one. */
  readonly traffic?: TrafficPolicy;
  /** Figures and limits of the version on trial; left out when the device does not judge for itself. */
  readonly trial?: TrialFigures & { readonly limits: GuardLimits };
  /** How long the serving version has to prove itself, when it is not the device's own setting. */
  readonly bake?: Millis;
  /** So often went the device back by itself that it tries nothing new under this attempt. */
  readonly trippedAttempt?: number;
}

export interface DeviceSnapshot {
  /** Monotonic. */
  readonly now: Millis;
  /** False before any desired state was accepted: then nothing is removed. */
  readonly desiredKnown: boolean;
  readonly models: readonly ModelSnapshot[];
  readonly blobs: readonly BlobEntry[];
  readonly budgetBytes: number;
  /** A write found the disk full although the budget had room. */
  readonly diskFull: boolean;
  /** Files in the cache that belong to no model and are in use all the same. */
  readonly foreign?: ReadonlySet<Digest>;
  readonly freeMemoryBytes: number;
  readonly bake: Millis;
  readonly maxBoots: number;
  /** When the agent started, monotonic. */
  readonly startedAt: Millis;
}
