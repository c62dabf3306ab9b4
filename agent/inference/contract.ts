import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { Millis } from '#shared/kernel/time.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { ServableState, WindowRole } from '#shared/protocol/messages.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import type { OutputTolerances } from '#shared/tensor/tolerance.js';
import type { BatchSettings } from './decide/batch-policy.js';
import type { ServableStatistics } from './statistics/servable-statistics.js';

/** How a request belongs to others of its caller, for models that keep state between them. */
export interface SequenceStep {
  /** Not 0 and not empty: those mean that a request belongs to no sequence. */
  readonly id: bigint | string;
  readonly start: boolean;
  readonly end: boolean;
}

/** Who waits for an answer. */
export interface Recipient {
  /** It has gone: nobody reads an answer. Must be cheap. */
  abandoned(): boolean;
  /** Calls `listener` when it goes, at most once; also when the answer was given, where that is cheaper to say. */
  onAbandoned(listener: () => void): void;
}

/** One prediction, from whichever protocol it came. */
export interface InferRequest {
  readonly model: ModelName;
  /** A version number, or the model's current routing when left out. */
  readonly version?: VersionNumber | undefined;
  readonly inputs: NamedTensors;
  /** Requests with one key stay with one version while two share the traffic. */
  readonly key?: string | undefined;
  /** Names of the outputs wanted; all when left out. */
  readonly outputs?: readonly string[] | undefined;
  /** The caller gives up after this long; queued work past it is never run. */
  readonly timeout?: Millis | undefined;
  /** Longest time in the queue, where the model has a policy for its queue; where it has none, the same as `timeout`. */
  readonly queueTimeout?: Millis | undefined;
  /** Level of urgency, 1 the most urgent; the model's usual one when left out, 0, or above the levels it has. */
  readonly priority?: number | undefined;
  /** Carried for models that keep state; no model does so far, and each answers it as any other request. */
  readonly sequence?: SequenceStep | undefined;
  /** The caller never touches the input bytes again: they may move to another thread instead of being copied. */
  readonly owned?: boolean | undefined;
  /** When it goes, the request is dropped from the queue, and the answer of a run is not waited for (`INFERENCE_ABANDONED`). */
  readonly recipient?: Recipient | undefined;
  /**
   * Called before the model runs, with the outputs as they are declared; sizes that are known of this request's answer stand in place of -1.
   * Throws to refuse a request whose answer nobody could be given.
   */
  readonly expecting?: (outputs: readonly TensorSpec[]) => void;
}

export interface InferReply {
  /** What the request ran on. */
  readonly target: PredictionTarget;
  readonly outputs: NamedTensors;
  /** Some values are not finite, and no golden sample of the version shows that they may be (`INFERENCE_NOT_FINITE`). */
  readonly notFinite: boolean;
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
    readonly tolerance: OutputTolerances;
  }[];
  readonly batching?: BatchSettings;
  /** Most rows (sizes of the first dimension) that one request may have. Left out: any number. */
  readonly maxRows?: number;
  /** `inputs` and `outputs` with the shapes that the model has for them, where those are others than clients use. */
  readonly inModel?: FileSignature;
  /** Requests to run before it is available, in place of those that are made up. A failure of one fails the load. */
  readonly warmUp?: readonly WarmUpRequest[];
  /** Instances of this version, in place of the setting. */
  readonly instances?: number;
  /**
   * What an unsigned version takes and gives, made of what its file says, in place of `inputs` and `outputs`. Throws what keeps it from
   * being served. Left out: the signed manifest declares it, and the file must agree.
   */
  readonly declare?: (file: FileSignature) => DeclaredSignature;
}

/** A request that is run before a version is available. */
export interface WarmUpRequest {
  readonly name: string;
  /** How often it runs. */
  readonly count: number;
  /** The inputs are one row, which is repeated so often; left out: they are the whole request. */
  readonly rows?: number;
  readonly inputs: Readonly<
    Record<
      string,
      {
        readonly datatype: TensorSpec['datatype'];
        readonly shape: readonly number[];
        /** The file has the bytes of the tensor as requests have them. */
        readonly fill: 'zero' | 'random' | { readonly file: string };
      }
    >
  >;
}

/** What a model file says that it takes and gives. */
export interface FileSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

export type DeclaredSignature = Pick<ServableSpec, 'inputs' | 'outputs' | 'batching' | 'maxRows' | 'inModel'>;

/** A version that was loaded beside the one in service and waits for its place. */
export interface LoadedAside {
  readonly status: ServableStatus;
  /** Gives it the place of the version with its number, at once; resolves when the old one has answered what it had and is gone. */
  takePlace(): Promise<void>;
  /** Unloads it again. */
  discard(): Promise<void>;
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
  /** Names of the classes, by output, once it is loaded and where the model has them. */
  readonly classNames?: ReadonlyMap<string, readonly string[]>;
  /** Requests taken and not yet answered. */
  readonly inFlight: number;
  /** Those of them that wait for an instance. */
  readonly waiting?: number;
  /** Memory that its instances took when they had warmed up, and that ending them gives back, bytes. */
  readonly memoryBytes?: number;
  /** What threads take cannot be measured: `memoryBytes` is estimated from the size of the file. */
  readonly memoryEstimated?: true;
  /** Its instances were ended to save memory; the next request brings them back and is answered. */
  readonly asleep?: true;
  readonly error?: SkerryError;
}

/** Memory of all loaded versions together, bytes. */
export interface ModelMemory {
  readonly heldBytes: number;
  /** Left out: no limit. */
  readonly budgetBytes: number | undefined;
}

/** What part of a model's requests a version beside the serving one takes or sees. */
export interface TrafficPolicy {
  readonly candidate: VersionNumber;
  /** `split`: answers a share. `shadow`: runs on copies of a share after they were answered, and is compared. */
  readonly action: 'shadow' | 'split';
  /** 0 to 1. */
  readonly share: number;
  readonly sticky: 'key' | 'device';
  readonly salt: string;
}

/** What running the golden samples of a loaded version again gave. */
export interface Recheck {
  readonly run: number;
  /** Samples whose outputs lie outside the tolerance. */
  readonly wrong: number;
  /** What differs in the first of them. */
  readonly reason: string | undefined;
}

/** What `serve` sees of the runtime: it translates to this and does nothing else. */
export interface DataPlane {
  infer(request: InferRequest): Promise<InferReply>;
  /** All servables not yet unloaded. */
  list(): readonly ServableStatus[];
  /** The servable that a request would go to, whatever its state; throws what `infer` does where there is none. */
  find(model: ModelName, version?: VersionNumber): ServableStatus;
  /** The version requests without a version go to; `undefined` while the model serves nothing. */
  routed(model: ModelName): VersionNumber | undefined;
  /** As what predictions of a servable, or of the version in service, are counted; `undefined` while it can serve none. */
  targetOf(model: ModelName, version?: VersionNumber): PredictionTarget | undefined;
  /**
   * What available servables did since they were loaded: of every model, of the loaded versions of one, or of one version. Throws what
   * `find` does where a model or version is named that is not there.
   */
  statistics(model?: ModelName, version?: VersionNumber): readonly ServableStatistics[];
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
  /**
   * Lets another version take or see part of the requests without a version, from the next one on; `undefined` ends that.
   * While the candidate is not available, everything goes to the routed version.
   */
  direct(model: ModelName, policy: TrafficPolicy | undefined): void;
  /** Runs the golden samples of an available version again, in line with its requests. Rejects when they could not be run. */
  recheck(model: ModelName, version: VersionNumber): Promise<Recheck>;
  /** Stops taking requests, waits for those under way, frees the session. Idempotent. */
  unload(model: ModelName, version: VersionNumber): Promise<void>;
  /** A servable that is not yet unloaded. */
  statusOf(model: ModelName, version: VersionNumber): ServableStatus | undefined;
  /** The version that requests without a version go to, whatever its state; `undefined` once it was unloaded. */
  routed(model: ModelName): VersionNumber | undefined;
  /** What `direct` set last, until its candidate is unloaded. */
  traffic(model: ModelName): TrafficPolicy | undefined;
  /** Called at every change of any servable's state. */
  onChange(listener: (status: ServableStatus) => void): () => void;
}

/** What a prediction ran on. */
export interface PredictionTarget {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly variant: string;
  readonly provider: string;
  /** What it was to the model when it took the request; `serving` when left out. */
  readonly role?: WindowRole;
}

/** One comparison of a shadow's answer with the one that was given. */
export interface ShadowResult {
  readonly agrees: boolean;
  /** Largest error of any element; not finite where one side is no number. */
  readonly maxError: number;
  readonly cost: Millis;
}

/** Waiting for a free instance; running the model; the whole request as the data plane saw it. */
export interface PredictionTiming {
  readonly queue: Millis;
  readonly compute: Millis;
  readonly total: Millis;
}

/** What was answered. */
export type Answer = Pick<InferReply, 'outputs' | 'notFinite'>;

/** Where the data plane tells how each prediction went; must not block. */
export interface PredictionRecorder {
  /** `answer` is left out where nobody was answered: for a shadow's run. */
  succeeded(target: PredictionTarget, timing: PredictionTiming, answer?: Answer): void;
  /** `target` is undefined when no servable took the request (unknown model, nothing available). */
  failed(target: PredictionTarget | undefined, code: ErrorCode, total: Millis): void;
  /** A worker of the version ended unasked. */
  crashed(target: PredictionTarget): void;
  /** Golden samples were run again. */
  rechecked(target: PredictionTarget, result: Recheck): void;
  /** A shadow's answer was compared; the run itself was told by `succeeded`. */
  shadowed(target: PredictionTarget, result: ShadowResult): void;
  /** A request chosen for the shadow was not run, because the shadow was busy. */
  shadowDropped(target: PredictionTarget): void;
}
