import type { Millis } from '#shared/kernel/time.js';

/** What becomes of a request whose time in the queue is over: it is refused, or runs after all others of its level. */
export type TimeoutAction = 'reject' | 'delay';

/** Rules of one level of priority, as a publisher or a configuration gives them. What is left out: no limit. */
export interface QueueSettings {
  readonly timeoutAction?: TimeoutAction;
  /** Longest time in the queue. */
  readonly defaultTimeoutMicros?: number;
  /** Requests may name a shorter time. */
  readonly allowTimeoutOverride?: boolean;
  /** Requests that wait at once. */
  readonly maxQueueSize?: number;
}

/** How requests for a model share runs, and which of them comes first. */
export interface BatchSettings {
  readonly maxBatchSize: number;
  readonly preferredSizes?: readonly number[];
  readonly maxDelayMicros?: number;
  /** Answers are given in the order in which the requests were started. */
  readonly preserveOrdering?: boolean;
  /** Levels of urgency, 1 the most urgent; 0 or left out: all requests are alike. */
  readonly priorityLevels?: number;
  /** Level of requests that name none. */
  readonly defaultPriorityLevel?: number;
  readonly defaultQueuePolicy?: QueueSettings;
  /** By level. */
  readonly priorityQueuePolicies?: Readonly<Record<string, QueueSettings>>;
}

/** Rules of one level, complete. */
export interface QueuePolicy {
  readonly timeoutAction: TimeoutAction;
  /** Infinite: none. */
  readonly defaultTimeout: Millis;
  readonly allowTimeoutOverride: boolean;
  /** Infinite: the setting of the agent alone. */
  readonly maxQueueSize: number;
}

/** What decides on batches goes by. */
export interface BatchPolicy {
  readonly maxBatchSize: number;
  /** Sizes worth running at once, rising; the largest size when none is named. */
  readonly preferredSizes: readonly number[];
  /** Longest time the oldest request of a batch waits for others; 0: none waits. */
  readonly maxDelay: Millis;
  readonly preserveOrdering: boolean;
  /** Of each level, the most urgent first; at least one. */
  readonly levels: readonly QueuePolicy[];
  /** Place of the level of requests that name none. */
  readonly defaultLevel: number;
}

export const NO_QUEUE_POLICY: QueuePolicy = {
  timeoutAction: 'reject',
  defaultTimeout: Number.POSITIVE_INFINITY,
  allowTimeoutOverride: false,
  maxQueueSize: Number.POSITIVE_INFINITY,
};

/** Every request by itself, in the order in which they came. */
export const NO_BATCHES: BatchPolicy = {
  maxBatchSize: 1,
  preferredSizes: [1],
  maxDelay: 0,
  preserveOrdering: false,
  levels: [NO_QUEUE_POLICY],
  defaultLevel: 0,
};

export function batchPolicy(settings: BatchSettings): BatchPolicy {
  const { maxBatchSize, priorityLevels = 0, defaultQueuePolicy, priorityQueuePolicies = {} } = settings;
  const preferred = (settings.preferredSizes ?? []).filter((size) => size <= maxBatchSize);
  const levels = Math.max(1, priorityLevels);
  return {
    maxBatchSize,
    preferredSizes: (preferred.length > 0 ? preferred : [maxBatchSize]).toSorted((a, b) => a - b),
    maxDelay: (settings.maxDelayMicros ?? 0) / 1000,
    preserveOrdering: settings.preserveOrdering ?? false,
    levels: Array.from({ length: levels }, (_, level) => queuePolicy(priorityQueuePolicies[level + 1] ?? defaultQueuePolicy ?? {})),
    defaultLevel: Math.min(levels, Math.max(1, settings.defaultPriorityLevel ?? 1)) - 1,
  };
}

/** The same queues, and nobody shares a run or waits for others. */
export function withoutBatches(policy: BatchPolicy): BatchPolicy {
  return { ...policy, maxBatchSize: 1, preferredSizes: [1], maxDelay: 0 };
}

/** In Triton's configuration 0 stands for no limit. */
function queuePolicy(settings: QueueSettings): QueuePolicy {
  const { timeoutAction = 'reject', defaultTimeoutMicros: micros = 0, allowTimeoutOverride = false, maxQueueSize: most = 0 } = settings;
  return {
    timeoutAction,
    defaultTimeout: micros === 0 ? Number.POSITIVE_INFINITY : micros / 1000,
    allowTimeoutOverride,
    maxQueueSize: most === 0 ? Number.POSITIVE_INFINITY : most,
  };
}

/** Requests that may wait in a level: as its policy says, or as the settings do. */
export function mostWaiting({ maxQueueSize }: QueuePolicy, capacity: number): number {
  return maxQueueSize === Number.POSITIVE_INFINITY ? capacity : maxQueueSize;
}

/** Place of a request's level; one that names none, or one that is not there, has the usual one, as in Triton. */
export function levelOf({ levels, defaultLevel }: BatchPolicy, priority: number | undefined): number {
  return priority === undefined || priority < 1 || priority > levels.length ? defaultLevel : priority - 1;
}

/** Longest time in the queue of a request that asks for `asked`. */
export function queueTimeout({ defaultTimeout, allowTimeoutOverride }: QueuePolicy, asked: Millis | undefined): Millis {
  return asked !== undefined && allowTimeoutOverride ? Math.min(asked, defaultTimeout) : defaultTimeout;
}
