import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { EpochMillis, Millis } from '#shared/kernel/clock.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { GateFigures, WaveFigures } from '../figures.js';
import type { Gate } from '../gate-document.js';

export interface EvidenceQuery {
  readonly rollout: string;
  readonly wave: number;
  readonly model: ModelName;
  /** Windows of this version are the canary's. */
  readonly version: VersionNumber;
  /** Since the wave began. */
  readonly from: EpochMillis;
  readonly to: EpochMillis;
  /** Longest the wave may take. */
  readonly lasts: Millis;
  /** Devices that took the version up. */
  readonly canary: () => readonly DeviceId[];
  /** Devices of the cohort that were never told of it. */
  readonly control: () => readonly DeviceId[];
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
