import type { Digest } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { BlobStore, VersionRecord } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import type { Ledger } from '../ledger.js';
import type { Manifests } from '../manifests.js';
import type { BehaviourSource, BlobFetcher, TrustClient } from '../ports.js';
import type { ProgressBoard } from '../progress.js';
import type { RuntimeBoard } from '../runtime-board.js';
import type { Machine } from '../variants.js';
import type { Step, StepKind } from '../decide/step.js';
import type { Trials } from '../trials.js';

/** What steps work with. */
export interface StepContext {
  readonly ledger: Ledger;
  readonly board: RuntimeBoard;
  readonly manifests: Manifests;
  readonly progress: ProgressBoard;
  readonly blobs: BlobStore;
  readonly trust: TrustClient;
  readonly fetcher: BlobFetcher;
  readonly events: EventSink;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Lowest allowed version of a model as last seen. */
  readonly minimums: Map<string, number>;
  /** Content said no to under an installed version number, by model. */
  readonly refusedManifests: Map<string, Digest>;
  /** How often complete versions lost files since they were accepted or last loaded: breaks the loop of fetching for nothing. */
  readonly losses: Map<string, number>;
  readonly trials: Trials;
  /** Left out: the device does not judge versions by how they behave. */
  readonly behaviour: BehaviourSource | undefined;
  /** What versions were marked bad on, by model and version, until it is told. */
  readonly verdicts: Map<string, Readonly<Record<string, number>>>;
  /** The `attempt` under which a version is being tried. */
  attemptOf(record: VersionRecord): number;
  /** Files being downloaded now, so that two models never fetch one file twice. */
  readonly downloads: Map<Digest, Promise<void>>;
}

export type Handler<K extends StepKind> = (step: Step<K>, context: StepContext, signal: AbortSignal) => Promise<void>;
