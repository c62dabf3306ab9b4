import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { checkTensors } from '#shared/tensor/check.js';
import type {
  DataPlane,
  InferReply,
  InferRequest,
  PredictionRecorder,
  PredictionTarget,
  Recheck,
  ServableControl,
  ServableSpec,
  ServableStatus,
  TrafficPolicy,
} from './contract.js';
import { holdsUnexpected } from './checks/finite.js';
import { recheckGolden } from './placement/golden.js';
import type { CarrierKind } from './instances/carrier.js';
import { CrashMemory } from './faults/crash-memory.js';
import { usableMemory } from '#shared/kernel/usable-memory.js';
import type { Instance } from './instances/instance.js';
import { InstanceSupply } from './instances/instance-supply.js';
import { startInstance } from './instances/start-instance.js';
import type { RuntimeDescription, VersionId } from './instances/instance-protocol.js';
import { Loader } from './placement/loader.js';
import { type KeyValue, PlacementMemory } from './placement/placement-memory.js';
import { ServableHost } from './servables/servable-host.js';
import type { Work } from './batching/scheduler.js';
import { ServableTable } from './servables/servable-table.js';
import type { WitnessFile } from './faults/witness-file.js';
import { DEFAULT_INFERENCE_SETTINGS, type InferenceSettings } from './settings.js';
import { type KeptRequest, ShadowRunner } from './servables/shadow.js';
import { checkOutputs } from './placement/signature.js';
import { checkTexts, hasTexts } from './checks/texts.js';

export interface InferenceRuntimeOptions {
  readonly store: KeyValue;
  readonly recorder: PredictionRecorder;
  readonly logger: Logger;
  readonly settings?: Partial<InferenceSettings>;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Id of this device: what a split by device goes by. */
  readonly device?: string;
  /** How instances are started; real ones unless a test says otherwise. */
  readonly startInstance?: (kind: CarrierKind) => Instance;
  /** Native code of a version crashed, or its worker ended otherwise. */
  readonly onCrash?: (of: VersionId, error: SkerryError) => void;
  /** Where threads write down that they are in native code; left out: nowhere. */
  readonly witness?: () => WitnessFile | undefined;
  /** An instance that was started already, to be the first. */
  readonly first?: Instance;
}

/** The runtime of one device: servables by model and version, and which version each model's requests go to. */
export interface InferenceRuntime extends DataPlane, ServableControl, Service {
  /** What the runtime is and which providers it offers; asked of a worker once. */
  describe(): Promise<RuntimeDescription>;
  /**
   * Threads given up inside the runtime (`INFERENCE_STUCK`). While there is one the process cannot end by itself: `process.exit`
   * waits for its threads, so the main has to end with SIGKILL after closing everything.
   */
  stuckThreads(): number;
  /** What crashed here: for who knows of a crash that ended the agent. Read by `start`. */
  crashMemory(): Promise<CrashMemory>;
  /** Memory of processes that run models, beside that of the agent; bytes. */
  residentBytes(): Promise<number>;
  /** Ends processes of models at once: for a program that is about to be ended by force. */
  abandonAll(): void;
}

/** Builds the data plane; placement figures are kept in `store`. `start` reads them, `close` answers what is under way and ends every worker. */
export function createInferenceRuntime(options: InferenceRuntimeOptions): InferenceRuntime {
  return new Runtime(options);
}

class Runtime implements InferenceRuntime {
  readonly #options: InferenceRuntimeOptions;
  readonly #settings: InferenceSettings;
  readonly #clock: Clock;
  readonly #supply: InstanceSupply;
  #crashes: CrashMemory | undefined;
  #opening: Promise<CrashMemory> | undefined;
  readonly #table: ServableTable;
  readonly #shadows: ShadowRunner;
  readonly #random: () => number;
  readonly #listeners = new Set<(status: ServableStatus) => void>();
  #loader: Promise<Loader> | undefined;
  #description: Promise<RuntimeDescription> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: InferenceRuntimeOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULT_INFERENCE_SETTINGS, ...options.settings };
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#table = new ServableTable({ random: this.#random, device: options.device ?? '' });
    this.#shadows = new ShadowRunner(options.recorder, options.logger);
    const { predictionLimit: runLimit, loadLimit, isolation: mode } = this.#settings;
    const { startInstance: start, witness, first } = options;
    this.#supply = new InstanceSupply({
      start: (kind) => start?.(kind) ?? startInstance(kind, { clock: this.#clock, runLimit, loadLimit }),
      clock: this.#clock,
      mode,
      memoryBytes: usableMemory(),
      crashedBefore: (of) => this.#crashes?.isIsolated(of) ?? false,
      witness: witness ?? (() => undefined),
      ...(first === undefined ? {} : { first }),
    });
  }

  async start(): Promise<void> {
    await Promise.all([this.#openLoader(), this.crashMemory()]);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      const hosts = this.#table.all();
      await Promise.all([this.#supply.close(), ...hosts.map(({ spec }) => this.unload(spec.model, spec.version))]);
    })();
    return this.#closing;
  }

  describe(): Promise<RuntimeDescription> {
    this.#description ??= this.#askDescription().catch((cause: unknown) => {
      this.#description = undefined;
      throw cause;
    });
    return this.#description;
  }

  stuckThreads(): number {
    return this.#supply.stuckThreads;
  }

  crashMemory(): Promise<CrashMemory> {
    const { store, logger } = this.#options;
    this.#opening ??= CrashMemory.open(store, this.#clock, logger).then((memory) => (this.#crashes = memory));
    return this.#opening;
  }

  residentBytes(): Promise<number> {
    return this.#supply.residentBytes();
  }

  abandonAll(): void {
    this.#supply.abandonAll();
  }

  async infer(request: InferRequest): Promise<InferReply> {
    const began = this.#clock.monotonic();
    let target: PredictionTarget | undefined;
    let copy: KeptRequest | undefined;
    try {
      // Pinned here, before anything is awaited: a route that changes later does not move this request.
      const { host, shadow } = this.#table.direct(request);
      target = this.#table.targetOf(host);
      checkTensors(host.spec.inputs, request.inputs);
      if (hasTexts(request.inputs)) await checkTexts(request.inputs);
      if (request.outputs !== undefined) checkOutputs(host.spec, request.outputs);
      copy = shadow === undefined ? undefined : this.#shadows.keep(shadow, request);
      const { outputs, queue, compute } = await host.submit({
        inputs: request.inputs,
        outputs: request.outputs,
        ...this.#patience(request.timeout, target, began),
        // What a shadow runs on later must still be here then.
        owned: copy === undefined && (request.owned ?? false),
        abandoned: request.abandoned,
      });
      if (target !== undefined) {
        const answer = { outputs, notFinite: holdsUnexpected(outputs, host.notFinite) };
        this.#options.recorder.succeeded(target, { queue, compute, total: this.#clock.monotonic() - began }, answer);
      }
      copy?.compare(outputs);
      return { model: request.model, version: host.spec.version, outputs, timing: { queue, compute } };
    } catch (cause) {
      copy?.discard();
      const error = asSkerryError(cause);
      this.#options.recorder.failed(target, error.code, this.#clock.monotonic() - began);
      throw error;
    }
  }

  /** How long a request may take. One that allows less than the default is no failure of the version, whose latency is seen all the same. */
  #patience(asked: Millis | undefined, target: PredictionTarget | undefined, began: Millis): Pick<Work, 'timeout' | 'hurried' | 'late'> {
    const usual = Math.min(this.#settings.requestTimeout, this.#settings.predictionLimit);
    if (asked === undefined || asked >= usual) return { timeout: asked ?? usual };
    const late: Work['late'] = (timing) => {
      if (target !== undefined) this.#options.recorder.succeeded(target, { ...timing, total: this.#clock.monotonic() - began });
    };
    return { timeout: asked, hurried: true, late };
  }

  list(): readonly ServableStatus[] {
    return this.#table.all().map((host) => host.status());
  }

  routed(model: ModelName): VersionNumber | undefined {
    return this.#table.routed(model);
  }

  async load(spec: ServableSpec, signal?: AbortSignal): Promise<ServableStatus> {
    if (this.#closing !== undefined) throw new SkerryError('CLOSED', 'the runtime is closing');
    const loader = await this.#openLoader();
    if (signal?.aborted === true) throw new SkerryError('ABORTED', `loading ${spec.model}@${spec.version} was cancelled`);
    const existing = this.#table.get(spec.model, spec.version);
    if (existing !== undefined && (existing.state === 'failed' || existing.state === 'draining')) {
      await this.unload(spec.model, spec.version);
      return this.load(spec, signal);
    }
    if (existing !== undefined && existing.spec.manifest !== spec.manifest) {
      throw new SkerryError(
        'INFERENCE_VERSION_CONFLICT',
        `${spec.model}@${spec.version} is loaded with manifest ${existing.spec.manifest}`,
      );
    }
    const host = existing ?? this.#add(spec, loader, await this.crashMemory());
    const cancel = (): void => host.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await host.start();
      return host.status();
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  route(model: ModelName, version: VersionNumber): void {
    this.#table.route(model, version);
    this.#options.logger.info({ model, version }, 'requests go to this version now');
  }

  direct(model: ModelName, policy: TrafficPolicy | undefined): void {
    this.#table.share(model, policy);
    const { candidate: version, action, share } = policy ?? {};
    this.#options.logger.info(
      { model, version, action, share },
      policy === undefined ? 'one version answers alone' : 'two versions share requests',
    );
  }

  async recheck(model: ModelName, version: VersionNumber): Promise<Recheck> {
    const host = this.#table.find(model, version);
    const target = this.#table.targetOf(host);
    const result = await recheckGolden(host.spec, async (inputs, outputs) => {
      // As at its start: a slow model may take as long for its samples.
      const work = { inputs, outputs, timeout: this.#settings.loadLimit, owned: false, abandoned: undefined };
      return (await host.submit(work)).outputs;
    });
    if (target !== undefined) this.#options.recorder.rechecked(target, result);
    return result;
  }

  async unload(model: ModelName, version: VersionNumber): Promise<void> {
    const host = this.#table.get(model, version);
    if (host === undefined) return;
    this.#table.withdraw(model, version);
    await host.stop();
    this.#table.remove(host);
  }

  onChange(listener: (status: ServableStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #add(spec: ServableSpec, loader: Loader, crashes: CrashMemory): ServableHost {
    const host = new ServableHost(spec, {
      loader,
      crashes,
      settings: this.#settings,
      clock: this.#clock,
      random: this.#random,
      logger: this.#options.logger.child({ model: spec.model, version: spec.version }),
      onChange: (changed) => this.#changed(changed),
      onCrash: (crashed, error) => this.#crashed(crashed, error),
    });
    this.#table.add(host);
    this.#changed(host);
    return host;
  }

  #changed(host: ServableHost): void {
    const status = host.status();
    const { model, version, state, variant, provider, error } = status;
    this.#options.logger.info({ model, version, state, variant, provider, code: error?.code }, `servable is ${state}`);
    for (const listener of this.#listeners) listener(status);
  }

  #crashed(host: ServableHost, error: SkerryError): void {
    const target = this.#table.targetOf(host);
    if (target !== undefined) this.#options.recorder.crashed(target);
    this.#options.onCrash?.(host.spec, error);
  }

  #openLoader(): Promise<Loader> {
    const { store, logger } = this.#options;
    this.#loader ??= PlacementMemory.open(store, logger).then(
      (memory) =>
        new Loader({
          start: (spec) => this.#supply.take(spec),
          slotOf: (instance) => this.#supply.slotOf(instance),
          describe: () => this.describe(),
          memory,
          settings: this.#settings,
          logger,
        }),
    );
    return this.#loader;
  }

  async #askDescription(): Promise<RuntimeDescription> {
    const instance = this.#supply.takeAny();
    try {
      const description = await instance.describe();
      if (this.#closing !== undefined || !this.#supply.giveBack(instance)) await instance.close();
      return description;
    } catch (cause) {
      await instance.close();
      throw cause;
    }
  }
}
