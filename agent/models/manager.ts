import type { Digest } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes, seconds } from '#shared/kernel/time.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { ServableControl } from '#agent/inference/contract.js';
import type { VersionId } from '#agent/inference/instances/instance-protocol.js';
import type { BlobStore, StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import type { Observe } from './observe.js';
import type { BlobFetcher, DesiredSource, TrustClient } from '#agent/install/ports.js';
import type { BehaviourSource } from './ports.js';
import type { Machine } from './variants.js';

export interface ModelSettings {
  /** A switched version must serve this long without failing before it counts as good. */
  readonly bake: Millis;
  /** Agent starts a version may take down before it is given up. */
  readonly maxBoots: number;
  readonly retry: { readonly base: Millis; readonly max: Millis };
}

export const DEFAULT_MODEL_SETTINGS: ModelSettings = { bake: minutes(1), maxBoots: 2, retry: { base: seconds(1), max: minutes(5) } };

export interface ModelManagerDeps {
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly trust: TrustClient;
  readonly fetcher: BlobFetcher;
  readonly desired: DesiredSource;
  readonly servables: ServableControl;
  readonly events: EventSink;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  readonly settings: ModelSettings;
  /** How versions behave here; without it none is judged by that. */
  readonly behaviour?: BehaviourSource;
  /** Versions that were in native code of the agent when its last run ended without order; left out: not known, or it ended in order. */
  readonly suspects?: readonly VersionId[] | undefined;
  /** Files in the cache that others use. */
  readonly foreign?: () => Promise<ReadonlySet<Digest>>;
  /** For tests that look at, or end the process at, any moment of the work. */
  readonly observe?: Observe;
}

/** Keeps the models of this device as the newest accepted desired state wants them; built by `createModelManager`. */
export interface ModelManager extends Service {
  /** Reads what is known, then begins: first what served serves again, from the disk alone. Does not wait for that. */
  start(): Promise<void>;
  /** For the reported state: every model this device knows, with install states and progress. */
  reportedModels(): Reported['models'];
  /** Called after any change of what `reportedModels` says (progress included): throttle before publishing. */
  onChange(listener: () => void): () => void;
  /** Ends every wait before a retry: the link is back, or an operator asks. */
  retryNow(): void;
  /** Whoever else uses the cache lacks room in it: what models do not need goes. */
  makeSpace(): void;
  /** Resolves once nothing is being done and nothing waits to be done; what waits for a delay or for the hub does not count. */
  idle(): Promise<void>;
}
