import type { Digest } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { AdmissionDeps } from '#agent/install/admission.js';
import type { Downloads } from '#agent/install/downloads.js';
import type { Losses } from '#agent/install/losses.js';
import type { BlobStore, VersionRecord } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import type { Step, StepKind } from '../decide/step.js';
import type { InstallProgress } from '../install-progress.js';
import type { Ledger } from '../ledger.js';
import type { Manifests } from '../manifests.js';
import type { BehaviourSource } from '../ports.js';
import type { RuntimeView } from '../runtime-view.js';
import type { Trials } from '../trials.js';
import type { Machine } from '../variants.js';

/** What steps work with. */
export interface StepContext extends AdmissionDeps {
  readonly ledger: Ledger;
  readonly runtime: RuntimeView;
  readonly manifests: Manifests;
  readonly progress: InstallProgress;
  readonly blobs: BlobStore;
  readonly downloads: Downloads;
  readonly events: EventSink;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Content that was refused under an installed version number, by model. */
  readonly refusedManifests: Map<string, Digest>;
  readonly losses: Losses;
  readonly trials: Trials;
  /** Left out: the device does not judge versions by how they behave. */
  readonly behaviour: BehaviourSource | undefined;
  /** Figures on which versions were marked bad, by version key, until they are reported. */
  readonly verdicts: Map<string, Readonly<Record<string, number>>>;
  /** The `attempt` under which a version is being tried. */
  attemptOf(record: VersionRecord): number;
}

export type Handler<K extends StepKind> = (step: Step<K>, context: StepContext, signal: AbortSignal) => Promise<void>;
