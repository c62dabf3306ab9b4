import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { type Clock, systemClock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type {
  DataPlane,
  InferReply,
  InferRequest,
  LoadedAside,
  ModelMemory,
  PredictionRecorder,
  PredictionTarget,
  Recheck,
  ServableControl,
  ServableSpec,
  ServableStatus,
  TrafficPolicy,
} from './contract.js';
import { inferPhases } from './infer-phases.js';
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
import type { ServableStatistics } from './statistics/servable-statistics.js';
import { MemoryKeeper } from './servables/memory-keeper.js';
import { ServableHost } from './servables/servable-host.js';
import { ServableTable } from './servables/servable-table.js';
import type { WitnessFile } from './faults/witness-file.js';
import { DEFAULT_INFERENCE_SETTINGS, type InferenceSettings } from './settings.js';
import { ShadowRunner } from './servables/shadow.js';

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
  /** Loads a version that nobody sees until it takes its place, also where that version is served already. Rejects as `load` does. */
  loadAside(spec: ServableSpec, signal?: AbortSignal): Promise<LoadedAside>;
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
  /** What loaded versions take, and may take together, bytes. */
  memory(): ModelMemory;
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
  readonly #keeper: MemoryKeeper;
  readonly #prediction: ReturnType<typeof inferPhases>;
  readonly #random: () => number;
  readonly #listeners = new Set<(status: ServableStatus) => void>();
  #loader: Promise<Loader> | undefined;
  #closing: Promise<void> | undefined;
  /** Loaded, or being loaded, beside what is served. */
  readonly #aside = new Set<ServableHost>();

  constructor(options: InferenceRuntimeOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULT_INFERENCE_SETTINGS, ...options.settings };
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#table = new ServableTable({ random: this.#random, device: options.device ?? '' });
    const { modelMemory: budgetBytes, idleUnload } = this.#settings;
    this.#keeper = new MemoryKeeper({ budgetBytes, idleUnload, clock: this.#clock, logger: options.logger });
    const shadows = new ShadowRunner(options.recorder, this.#clock, options.logger);
    const inferDeps = { table: this.#table, shadows, recorder: options.recorder, settings: this.#settings, clock: this.#clock };
    this.#prediction = inferPhases(inferDeps);
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
      this.#keeper.close();
      const hosts = this.#table.all();
      const aside = [...this.#aside].map((host) => host.stop());
      await Promise.all([this.#supply.close(), ...aside, ...hosts.map(({ spec }) => this.unload(spec.model, spec.version))]);
    })();
    return this.#closing;
  }

  describe(): Promise<RuntimeDescription> {
    return this.#supply.describe();
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

  memory(): ModelMemory {
    const { heldBytes, budgetBytes } = this.#keeper;
    return { heldBytes, budgetBytes };
  }

  abandonAll(): void {
    this.#supply.abandonAll();
  }

  infer(request: InferRequest): Promise<InferReply> {
    return this.#prediction.run({ request, began: this.#clock.monotonic() });
  }

  list(): readonly ServableStatus[] {
    return this.#table.all().map((host) => host.status());
  }

  find(model: ModelName, version?: VersionNumber): ServableStatus {
    return this.#table.resolve(model, version).status();
  }

  routed(model: ModelName): VersionNumber | undefined {
    return this.#table.routed(model);
  }

  statistics(model?: ModelName, version?: VersionNumber): readonly ServableStatistics[] {
    return this.#table.named(model, version).flatMap((host) => (host.state === 'available' ? host.statistics() : []));
  }

  targetOf(model: ModelName, version = this.#table.routed(model)): PredictionTarget | undefined {
    const host = version === undefined ? undefined : this.#table.get(model, version);
    return host === undefined ? undefined : this.#table.targetOf(host);
  }

  statusOf(model: ModelName, version: VersionNumber): ServableStatus | undefined {
    return this.#table.get(model, version)?.status();
  }

  traffic(model: ModelName): TrafficPolicy | undefined {
    return this.#table.traffic(model);
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
    const host = existing ?? this.#add(this.#makeHost(spec, loader, await this.crashMemory()));
    const cancel = (): void => host.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await host.start();
      return host.status();
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  async loadAside(spec: ServableSpec, signal?: AbortSignal): Promise<LoadedAside> {
    if (this.#closing !== undefined) throw new SkerryError('CLOSED', 'the runtime is closing');
    const host = this.#makeHost(spec, await this.#openLoader(), await this.crashMemory());
    const cancel = (): void => host.cancel();
    this.#aside.add(host);
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      const status = await host.start();
      return { status, takePlace: () => this.#takePlace(host), discard: () => this.#discard(host) };
    } catch (cause) {
      await this.#discard(host);
      throw cause;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  route(model: ModelName, version: VersionNumber): void {
    this.#table.route(model, version);
    this.#options.logger.info({ model, version }, 'requests now go to this version');
  }

  direct(model: ModelName, policy: TrafficPolicy | undefined): void {
    this.#table.share(model, policy);
    const { candidate: version, action, share } = policy ?? {};
    this.#options.logger.info(
      { model, version, action, share },
      policy === undefined ? 'one version answers all requests' : 'two versions share the requests',
    );
  }

  async recheck(model: ModelName, version: VersionNumber): Promise<Recheck> {
    const host = this.#table.find(model, version);
    const target = this.#table.targetOf(host);
    const result = await recheckGolden(host.spec, async (inputs, outputs) => {
      host.admit(inputs);
      // As at its start: a slow model may take as long for its samples.
      const work = { inputs, outputs, timeout: this.#settings.loadLimit, owned: false, isSample: true as const };
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

  async #takePlace(host: ServableHost): Promise<void> {
    if (!this.#aside.delete(host)) return;
    const old = this.#table.get(host.spec.model, host.spec.version);
    this.#table.add(host);
    this.#changed(host);
    await old?.stop();
  }

  async #discard(host: ServableHost): Promise<void> {
    if (!this.#aside.has(host)) return;
    await host.stop();
    this.#aside.delete(host);
  }

  #makeHost(spec: ServableSpec, loader: Loader, crashes: CrashMemory): ServableHost {
    return new ServableHost(spec, {
      loader,
      crashes,
      keeper: this.#keeper,
      settings: this.#settings,
      clock: this.#clock,
      random: this.#random,
      logger: this.#options.logger.child({ model: spec.model, version: spec.version }),
      onChange: (changed) => this.#changed(changed),
      onCrash: (crashed, error) => this.#crashed(crashed, error),
    });
  }

  #add(host: ServableHost): ServableHost {
    this.#table.add(host);
    this.#changed(host);
    return host;
  }

  #changed(host: ServableHost): void {
    const status = host.status();
    const { model, version, state, variant, provider, error, asleep } = status;
    const how = asleep === true ? 'unloaded until a request needs it' : state;
    this.#options.logger.info({ model, version, state, variant, provider, code: error?.code }, `servable is ${how}`);
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
          describe: () => this.#supply.describe(),
          memory,
          settings: this.#settings,
          logger,
        }),
    );
    return this.#loader;
  }
}
