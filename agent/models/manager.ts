import type { Clock, Millis } from '#shared/kernel/clock.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { ServableControl } from '#agent/inference/contract.js';
import type { BlobStore, StateStore } from '#agent/store/contract.js';
import type { EventSink } from '#agent/store/events.js';
import type { BlobFetcher, DesiredSource, TrustClient } from './ports.js';

export interface ModelSettings {
  /** A switched version must serve this long without failing before it counts as good. */
  readonly bake: Millis;
  /** Agent starts a version may take down before it is given up. */
  readonly maxBoots: number;
  readonly retry: { readonly base: Millis; readonly max: Millis };
}

export interface ModelManagerDeps {
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly trust: TrustClient;
  readonly fetcher: BlobFetcher;
  readonly desired: DesiredSource;
  readonly servables: ServableControl;
  readonly events: EventSink;
  /** What variants are chosen by. */
  readonly machine: { providers(): readonly string[]; memoryBytes(): number; freeMemoryBytes(): number };
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  readonly settings: ModelSettings;
}

/** Keeps the models of this device as the newest accepted desired state wants them; built by `createModelManager(deps)`. */
export interface ModelManager extends Service {
  /** For the reported state: every model this device knows, with install states and progress. */
  reportedModels(): Reported['models'];
  /** Called after any change of what `reportedModels` says (progress included): throttle before publishing. */
  onChange(listener: () => void): () => void;
  /** Ends every wait before a retry: the link is back, or an operator asks. */
  retryNow(): void;
}
