import type { Millis } from '#shared/kernel/time.js';
import type { IsolationMode } from './decide/isolation.js';

/** Settings of the data plane; `DEFAULT_INFERENCE_SETTINGS` fits a small device. */
export interface InferenceSettings {
  /** Workers, each with a session of its own, per servable. */
  readonly instances: number;
  /** Requests that may wait for one servable; the next one is refused with `INFERENCE_QUEUE_FULL`. */
  readonly queueCapacity: number;
  /** Time a request without a timeout of its own may take. */
  readonly requestTimeout: Millis;
  /** Threads one session computes with; 1 leaves the other cores to other instances and to the agent. */
  readonly threads: number;
  /** Unexpected ends of a servable's workers within `restartWindow` before it counts as failed. */
  readonly restartLimit: number;
  readonly restartWindow: Millis;
  /** A run that takes longer counts as stuck, unless a caller allowed more; its instance is replaced. */
  readonly predictionLimit: Millis;
  /** The same for opening a model, and for each of its golden samples. */
  readonly loadLimit: Millis;
  readonly isolation: IsolationMode;
  /** Memory for all loaded versions together, bytes; left out: no limit. */
  readonly modelMemory?: number | undefined;
  /** Time without a request after which a version is unloaded, until a request needs it; left out: never. */
  readonly idleUnload?: Millis | undefined;
  /** Timed runs for placement and warm-up, per golden sample, and the time after which no further one is begun. */
  readonly warmupRuns: number;
  readonly warmupBudget: Millis;
}

export const DEFAULT_INFERENCE_SETTINGS: InferenceSettings = {
  instances: 1,
  queueCapacity: 256,
  requestTimeout: 30_000,
  threads: 1,
  restartLimit: 5,
  restartWindow: 600_000,
  predictionLimit: 120_000,
  loadLimit: 600_000,
  isolation: 'thread',
  warmupRuns: 5,
  warmupBudget: 500,
};
