import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { Millis } from '#shared/kernel/clock.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { ServableState } from '#shared/protocol/messages.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';

/** One prediction, from whichever protocol it came. */
export interface InferRequest {
  readonly model: ModelName;
  /** A version number, or the model's current routing when left out. */
  readonly version?: VersionNumber;
  readonly inputs: NamedTensors;
  /** Names of the outputs wanted; all when left out. */
  readonly outputs?: readonly string[];
  /** The caller gives up after this long; queued work past it is never run. */
  readonly timeout?: Millis;
  /** The caller never touches the input bytes again: they may move to another thread instead of being copied. */
  readonly owned?: boolean;
  /** Asked once, just before the work would start; `true` drops it (`INFERENCE_ABANDONED`). Must be cheap. */
  readonly abandoned?: () => boolean;
}

export interface InferReply {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly outputs: NamedTensors;
  readonly timing: { readonly queue: Millis; readonly compute: Millis };
}

/** Everything the runtime needs to make a servable of a version that lies verified on this device. */
export interface ServableSpec {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly manifest: Digest;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Candidate variants in the order the manifest lists them; placement picks. */
  readonly variants: readonly {
    readonly name: string;
    readonly file: string;
    readonly digest: Digest;
    readonly providers: readonly string[];
    readonly memoryBytes?: number;
  }[];
  readonly goldenSamples: readonly {
    readonly name: string;
    readonly file: string;
    readonly tolerance: { readonly absolute: number; readonly relative: number };
  }[];
  readonly batching?: { readonly maxBatchSize: number; readonly preferredSizes?: readonly number[]; readonly maxDelayMicros?: number };
}

export interface ServableStatus {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly manifest: Digest;
  readonly state: ServableState;
  readonly variant?: string;
  readonly provider?: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Requests taken and not yet answered. */
  readonly inFlight: number;
  /** Growth of the process's resident memory while it was loaded and warmed up, bytes. */
  readonly memoryBytes?: number;
  readonly error?: SkerryError;
}

/** What `serve` sees of the runtime: it translates to this and does nothing else. */
export interface DataPlane {
  infer(request: InferRequest): Promise<InferReply>;
  /** All servables not yet unloaded. */
  list(): readonly ServableStatus[];
  /** The version requests without a version go to; `undefined` while the model serves nothing. */
  routed(model: ModelName): VersionNumber | undefined;
}

/** What `models` sees of the runtime: the life of servables. Every call resolves once the state it names is true. */
export interface ServableControl {
  /**
   * Loads beside whatever runs, checks the golden samples in an instance of its own and warms up; resolves at `available`
   * (not yet routed). Rejects with the reason at `failed`, leaving nothing running.
   */
  load(spec: ServableSpec, signal?: AbortSignal): Promise<ServableStatus>;
  /** Sends requests without a version to `version` from the next one on; requests under way finish where they are. */
  route(model: ModelName, version: VersionNumber): void;
  /** Stops taking requests, waits for those under way, frees the session. Idempotent. */
  unload(model: ModelName, version: VersionNumber): Promise<void>;
  /** Called at every change of any servable's state. */
  onChange(listener: (status: ServableStatus) => void): () => void;
}

/** What a prediction ran on. */
export interface PredictionTarget {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly variant: string;
  readonly provider: string;
}

/** Waiting for a free instance; running the model; the whole request as the data plane saw it. */
export interface PredictionTiming {
  readonly queue: Millis;
  readonly compute: Millis;
  readonly total: Millis;
}

/** Where the data plane tells how each prediction went; must not block. */
export interface PredictionRecorder {
  succeeded(target: PredictionTarget, timing: PredictionTiming): void;
  /** `target` is undefined when no servable took the request (unknown model, nothing available). */
  failed(target: PredictionTarget | undefined, code: ErrorCode, total: Millis): void;
}
