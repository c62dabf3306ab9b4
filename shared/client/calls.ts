import type { Millis } from '#shared/kernel/time.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';

/** A model, and one of its versions where it is named. */
export interface ModelVersion {
  readonly model: string;
  /** The version in service when left out. */
  readonly version?: string | undefined;
}

/** A value that requests and answers may carry beside their tensors. */
export type Parameter = string | number | boolean;
export type Parameters = Readonly<Record<string, Parameter>>;

/** An output to answer with. */
export interface RequestedOutput {
  readonly name: string;
  readonly parameters?: Parameters | undefined;
}

export interface InferCall extends ModelVersion {
  readonly inputs: NamedTensors;
  readonly id: string | undefined;
  /** All when left out. */
  readonly outputs: readonly RequestedOutput[] | undefined;
  readonly parameters: Parameters;
}

export interface InferAnswer {
  readonly model: string;
  readonly version: string;
  readonly id: string | undefined;
  readonly outputs: NamedTensors;
}

export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** A version that the server has, loaded or not; a model that was never loaded has its name alone. */
export interface IndexEntry {
  readonly name: string;
  readonly version?: string | undefined;
  readonly state?: string | undefined;
  readonly reason?: string | undefined;
}

export interface LoadCall {
  readonly model: string;
  /** A model configuration (Triton's ModelConfig as JSON) in place of the one in the repository. */
  readonly config: string | undefined;
  /** Files by their path in the model's folder, such as `1/model.onnx`. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** How often something happened, and the nanoseconds it took altogether. */
interface Total {
  readonly count: number;
  readonly ns: number;
}

/** Counts of a version since it was loaded (Triton's statistics extension). */
export interface ModelStatistics {
  readonly name: string;
  readonly version: string;
  readonly inferences: number;
  readonly executions: number;
  /** Milliseconds since 1970; 0 before the first. */
  readonly lastInference: number;
  /** By kind: success, fail, queue, compute_input, compute_infer, compute_output, ... */
  readonly durations: Readonly<Record<string, Total>>;
}

export interface FeedbackCall extends ModelVersion {
  /** Id or key of the request that the feedback is about. */
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  readonly correct?: boolean | undefined;
  readonly value?: number | undefined;
}

/** Every call of the client: what it sends, and what the server answers. */
export interface Calls {
  readonly live: { readonly sent: undefined; readonly answer: boolean };
  readonly ready: { readonly sent: undefined; readonly answer: boolean };
  readonly modelReady: { readonly sent: ModelVersion; readonly answer: boolean };
  readonly server: { readonly sent: undefined; readonly answer: ServerMetadata };
  readonly metadata: { readonly sent: ModelVersion; readonly answer: ModelMetadata };
  readonly config: { readonly sent: ModelVersion; readonly answer: Readonly<Record<string, unknown>> };
  readonly infer: { readonly sent: InferCall; readonly answer: InferAnswer };
  readonly index: { readonly sent: undefined; readonly answer: readonly IndexEntry[] };
  readonly load: { readonly sent: LoadCall; readonly answer: undefined };
  readonly unload: { readonly sent: { readonly model: string; readonly dependents: boolean }; readonly answer: undefined };
  readonly statistics: { readonly sent: Partial<ModelVersion>; readonly answer: readonly ModelStatistics[] };
  /** What an agent says about itself. */
  readonly status: { readonly sent: undefined; readonly answer: Readonly<Record<string, unknown>> };
  readonly feedback: { readonly sent: FeedbackCall; readonly answer: { readonly version: string } };
}
export type CallName = keyof Calls;

/** What bounds one attempt of a call. */
export interface Bounds {
  /** Ends it: the caller does not want it any more, or its time is over. */
  readonly signal: AbortSignal;
  /** Time that is left; infinite where there is no limit. */
  readonly left: Millis;
}

/** A way to a server, which does every call once. */
export interface Link {
  /** Errors: a `CallFailure`. */
  call<K extends CallName>(name: K, sent: Calls[K]['sent'], bounds: Bounds): Promise<Calls[K]['answer']>;
  close(): void;
}
