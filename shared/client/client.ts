import type { Millis } from '#shared/kernel/time.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type AttemptDeps, attempts } from './attempts.js';
import type {
  CallName,
  Calls,
  FeedbackCall,
  IndexEntry,
  Link,
  ModelMetadata,
  ModelStatistics,
  Parameters,
  RequestedOutput,
  ServerMetadata,
} from './calls.js';
import { OutputTensor, type ValuesOf } from './output-tensor.js';
import { type Input, tensorOf } from './values.js';

export interface CallOptions {
  /** Time for the call with all of its attempts; Infinity for no limit. */
  readonly timeout?: Millis | undefined;
  /** Cancels the call, with `ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

export interface VersionOptions extends CallOptions {
  /** The version in service when left out. */
  readonly version?: string | undefined;
}

export interface InferOptions extends VersionOptions {
  readonly id?: string | undefined;
  /** Outputs to answer with; all when left out. */
  readonly outputs?: readonly (string | RequestedOutput)[] | undefined;
  /** Requests with one key stay with one version while two share the traffic. */
  readonly key?: string | undefined;
  readonly priority?: number | undefined;
  /** Requests of a sequence are never sent twice. */
  readonly sequence?: { readonly id: number | string; readonly start?: boolean; readonly end?: boolean } | undefined;
  readonly parameters?: Parameters | undefined;
}

export interface LoadOptions extends CallOptions {
  /** A model configuration (Triton's ModelConfig as JSON) in place of the one in the repository. */
  readonly config?: string | undefined;
  /** Files by their path in the model's folder, such as `1/model.onnx`. */
  readonly files?: Readonly<Record<string, Uint8Array>> | undefined;
}

export interface UnloadOptions extends CallOptions {
  readonly dependents?: boolean | undefined;
}

/** What a client does where a call says nothing. */
export interface CallDefaults {
  readonly timeout: Millis;
  readonly margin: Millis;
  readonly retries: number;
}

/** The answer to a prediction. */
export class Prediction {
  readonly model: string;
  readonly version: string;
  readonly id: string | undefined;
  /** In the order of the server. */
  readonly outputs: readonly OutputTensor[];

  constructor({ model, version, id, outputs }: Calls['infer']['answer']) {
    this.model = model;
    this.version = version;
    this.id = id;
    this.outputs = Object.entries(outputs).map(([name, tensor]) => new OutputTensor(name, tensor));
  }

  /** An output by its name. Errors: `TENSOR_UNKNOWN`. */
  output(name: string): OutputTensor {
    const found = this.outputs.find((output) => output.name === name);
    if (found !== undefined) return found;
    const names = this.outputs.map((output) => output.name).join(', ');
    throw new SkerryError('TENSOR_UNKNOWN', `the answer has no output ${JSON.stringify(name)}; it has ${names}`);
  }

  /** The elements of an output that must be of this datatype. Errors: `TENSOR_UNKNOWN`, `TENSOR_DATATYPE`. */
  values<D extends Datatype>(name: string, datatype: D): ValuesOf[D] {
    return this.output(name).as(datatype);
  }
}

/**
 * A client of a server of the Open Inference Protocol, whatever carries it. Errors are SkerryErrors with the server's code.
 *
 * A call is sent again only where that is safe: when no connection came about, when the server put it off (503 with Retry-After), and,
 * unless it changes something or belongs to a sequence, when a connection kept from an earlier call turned out closed. A prediction has no
 * effect, but it is not sent again after a fresh connection was lost: it may be what ended the server.
 */
export class Client {
  readonly #link: Link;
  readonly #defaults: CallDefaults;
  readonly #deps: AttemptDeps;

  constructor(link: Link, defaults: CallDefaults, deps: AttemptDeps) {
    this.#link = link;
    this.#defaults = defaults;
    this.#deps = deps;
  }

  /** Whether the server runs; false where it cannot be reached. */
  live(options: CallOptions = {}): Promise<boolean> {
    return this.#call('live', undefined, options, true).catch(falseIfUnreachable);
  }

  /** Whether the server, or a model of it, takes predictions; false where it cannot be reached. */
  ready(options: CallOptions & { readonly model?: string; readonly version?: string } = {}): Promise<boolean> {
    const { model, version } = options;
    const asked =
      model === undefined ? this.#call('ready', undefined, options, true) : this.#call('modelReady', { model, version }, options, true);
    return asked.catch(falseIfUnreachable);
  }

  server(options: CallOptions = {}): Promise<ServerMetadata> {
    return this.#call('server', undefined, options, true);
  }

  /** Names, datatypes and shapes of a model's inputs and outputs. */
  metadata(model: string, options: VersionOptions = {}): Promise<ModelMetadata> {
    return this.#call('metadata', { model, version: options.version }, options, true);
  }

  /** The model's configuration, in the JSON form of Triton's ModelConfig. */
  config(model: string, options: VersionOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#call('config', { model, version: options.version }, options, true);
  }

  /** Runs a model. */
  async infer(model: string, inputs: Readonly<Record<string, Input>>, options: InferOptions = {}): Promise<Prediction> {
    const tensors = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, tensorOf(name, input)]));
    const outputs = options.outputs?.map((output) => (typeof output === 'string' ? { name: output } : output));
    const call = { model, version: options.version, inputs: tensors, id: options.id, outputs, parameters: parametersOf(options) };
    return new Prediction(await this.#call('infer', call, options, options.sequence === undefined));
  }

  /** Versions of the repository, loaded or not. */
  list(options: CallOptions = {}): Promise<readonly IndexEntry[]> {
    return this.#call('index', undefined, options, true);
  }

  async load(model: string, { config, files = {}, ...options }: LoadOptions = {}): Promise<void> {
    await this.#call('load', { model, config, files }, options, false);
  }

  async unload(model: string, { dependents = false, ...options }: UnloadOptions = {}): Promise<void> {
    await this.#call('unload', { model, dependents }, options, false);
  }

  /** Counts and durations of one model, or of all. */
  statistics(options: VersionOptions & { readonly model?: string } = {}): Promise<readonly ModelStatistics[]> {
    return this.#call('statistics', options.model === undefined ? {} : { model: options.model, version: options.version }, options, true);
  }

  /** What an agent says about itself: models, link, disk (not part of the protocol). */
  status(options: CallOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#call('status', undefined, options, true);
  }

  /** Says how an answer turned out; gives the version that it counts for. */
  async feedback(model: string, said: Omit<FeedbackCall, 'model'>, options: CallOptions = {}): Promise<string> {
    return (await this.#call('feedback', { model, ...said }, options, false)).version;
  }

  /** Closes idle connections. */
  close(): void {
    this.#link.close();
  }

  #call<K extends CallName>(name: K, sent: Calls[K]['sent'], options: CallOptions, repeatable: boolean): Promise<Calls[K]['answer']> {
    const { retries, margin } = this.#defaults;
    const timeout = options.timeout ?? this.#defaults.timeout;
    const limits = { retries, repeatable, timeout, margin: name === 'infer' ? margin : 0, signal: options.signal };
    return attempts((bounds) => this.#link.call(name, sent, bounds), limits, this.#deps);
  }
}

function falseIfUnreachable(cause: unknown): boolean {
  if (cause instanceof SkerryError && cause.code === 'CLIENT_UNREACHABLE') return false;
  throw cause;
}

/** What the protocol has as parameters of a request. */
function parametersOf({ key, priority, sequence, parameters }: InferOptions): Parameters {
  return {
    ...parameters,
    ...(key === undefined ? {} : { key }),
    ...(priority === undefined ? {} : { priority }),
    ...(sequence === undefined
      ? {}
      : { sequence_id: sequence.id, sequence_start: sequence.start ?? false, sequence_end: sequence.end ?? false }),
  };
}
