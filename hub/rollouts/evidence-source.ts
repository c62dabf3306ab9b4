import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { GateFigures, WaveFigures } from './figures.js';
import type { Gate } from './gate.js';
import type { WaveSpan } from './decide/evidence/layout.js';

export interface EvidenceQuery {
  readonly rollout: string;
  readonly model: ModelName;
  /** Windows of this version are the canary's. */
  readonly version: VersionNumber;
  /** Waves whose evidence counts, oldest first; the last one is under way. */
  readonly waves: readonly WaveSpan[];
  /** Gates of every planned wave, begun or not. */
  readonly plan: readonly (readonly Gate[])[];
  readonly to: EpochMillis;
  /** Devices that took the version up. */
  readonly canary: () => readonly DeviceId[];
  /** Devices of the cohort to compare with, and until when: the time they were told of it, or `Infinity`. */
  readonly control: () => ReadonlyMap<DeviceId, EpochMillis>;
  /** Requests refused for what callers sent count as failed (`Plan.narrowed`). */
  readonly countRefused?: boolean;
  /** Gates to give figures for; `install` is not asked here. */
  readonly gates: readonly Gate[];
}

export interface Evidence {
  readonly evidence: WaveFigures['evidence'];
  readonly gates: readonly GateFigures[];
}

/** Where the controller gets its figures from: the telemetry of the fleet, or a simulation. */
export interface EvidenceSource {
  /** May throw; the gates then count as not computable, which stops the rollout. */
  figures(query: EvidenceQuery): Promise<Evidence>;
}
