import { type Clock, timeoutSignal } from '#shared/kernel/clock.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { NotFiniteOutputs } from '#shared/tensor/not-finite.js';
import type { ServableState } from '#shared/protocol/messages.js';
import { batchPolicy } from '../decide/batch-policy.js';
import type { PredictionTarget, ServableSpec, ServableStatus } from '../contract.js';
import type { CrashMemory } from '../faults/crash-memory.js';
import { checkEmptySizes, type EmptySizes } from '../checks/empty-sizes.js';
import { digestOfInputs } from '../faults/input-digest.js';
import { isCrash } from '../decide/instance-end.js';
import type { Instance, SampleRun } from '../instances/instance.js';
import type { SampleResult } from '../instances/instance-protocol.js';
import type { ClassNames, Loader } from '../placement/loader.js';
import { costOf, type LoadCost } from '../placement/load-cost.js';
import { Scheduler } from '../batching/scheduler.js';
import type { Work, WorkResult } from '../batching/work.js';
import { checkSharedSizes, type SharedSizes } from '../checks/shared-sizes.js';
import { type ServableStatistics, StatisticsCounter } from '../statistics/servable-statistics.js';
import { fileStamp, requireSameFile } from '../placement/file-stamp.js';
import { warmUpSizes } from '../placement/warm-up.js';
import type { MemoryKeeper } from './memory-keeper.js';
import { failureOf, refusalOf } from './refusals.js';
import { Residence } from './residence.js';
import { type ServableEvent, transition } from './servable.js';
import type { InferenceSettings } from '../settings.js';

interface HostParts {
  readonly loader: Loader;
  readonly crashes: CrashMemory;
  readonly keeper: MemoryKeeper;
  readonly settings: InferenceSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Called after every change of state. */
  readonly onChange: (host: ServableHost) => void;
  /** Called when one of its workers ended in a way that counts against the version. */
  readonly onCrash: (host: ServableHost, error: SkerryError) => void;
}

/** Rows of so many lone requests are seen before requests share runs. */
const ALONE_FIRST = 8;

interface Live {
  readonly placed: Pick<PredictionTarget, 'variant' | 'provider'>;
  readonly scheduler: Scheduler<Instance>;
  readonly cost: LoadCost;
  readonly empties: EmptySizes;
  readonly notFinite: NotFiniteOutputs;
  readonly shared: SharedSizes;
  readonly classNames: ClassNames;
}

/** One servable: its state (table in `servable.ts`), its instances and its waiting line. */
export class ServableHost {
  readonly #parts: HostParts;
  readonly #cancel = new AbortController();
  readonly #statistics: StatisticsCounter;
  readonly #residence: Residence;
  #spec: ServableSpec;
  #state: ServableState = 'loading';
  #scheduler: Scheduler<Instance> | undefined;
  #live: Live | undefined;
  #error: SkerryError | undefined;
  /** Digest of the inputs in the instance that was killed last. */
  #killedBy: string | undefined;
  #starting: Promise<ServableStatus> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(spec: ServableSpec, parts: HostParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.#statistics = new StatisticsCounter(parts.clock);
    const { keeper, clock, random, settings, logger } = parts;
    this.#residence = new Residence({
      what: `${spec.model}@${spec.version}`,
      line: () => this.#line(),
      keeper,
      clock,
      random,
      settings: { ...settings, instances: spec.instances ?? settings.instances },
      logger,
      onChange: () => parts.onChange(this),
      onEnded: (error) => this.#instanceEnded(error),
      onFailed: (error) => this.#fail(error),
    });
  }

  /** Once it is loaded, with what its file declares where no manifest does. */
  get spec(): ServableSpec {
    return this.#spec;
  }

  get state(): ServableState {
    return this.#state;
  }

  /** The variant that was placed and the provider it runs on, once it was. */
  get placed(): Pick<PredictionTarget, 'variant' | 'provider'> | undefined {
    return this.#live?.placed;
  }

  /** Outputs to ask an instance for when a request names none; undefined: the instance knows. */
  get offered(): readonly string[] | undefined {
    return this.#spec.declare === undefined ? undefined : this.#spec.outputs.map(({ name }) => name);
  }

  /** Its publisher, or its configuration, says how long requests may wait: what requests ask for is judged by that. */
  get hasQueuePolicy(): boolean {
    const { batching } = this.#spec;
    return batching?.defaultQueuePolicy !== undefined || batching?.priorityQueuePolicies !== undefined;
  }

  /** Which values that are not finite the golden samples show in which outputs. */
  get notFinite(): NotFiniteOutputs {
    return this.#live?.notFinite ?? new Map();
  }

  status(): ServableStatus {
    const { model, version, manifest, inputs, outputs } = this.spec;
    return {
      model,
      version,
      manifest,
      inputs,
      outputs,
      state: this.#state,
      inFlight: this.#live?.scheduler.inFlight ?? 0,
      waiting: this.#live?.scheduler.waiting ?? 0,
      ...(this.#live === undefined ? {} : this.#shown(this.#live)),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  #shown({ placed, cost, classNames }: Live): Partial<ServableStatus> {
    return {
      ...placed,
      classNames,
      memoryBytes: cost.bytes,
      ...(cost.isEstimate ? { memoryEstimated: true } : {}),
      ...(this.#residence.asleep ? { asleep: true } : {}),
    };
  }

  /** Loads and warms up; resolves at `available`, rejects at `failed`. One call starts it, later ones wait for the same. */
  start(): Promise<ServableStatus> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Makes `start` end as soon as the step under way allows. */
  cancel(): void {
    this.#cancel.abort();
  }

  /**
   * Whether inputs that fit the specification may run: throws `TENSOR_EMPTY` and `INFERENCE_CRASHED_BEFORE` for what could end the process,
   * `TENSOR_SHAPE` for inputs that do not fit each other, and why the servable takes no request.
   */
  admit(inputs: NamedTensors): void {
    this.#admitTo(this.#serving(), inputs);
  }

  /** Takes a request that was admitted; throws why the servable takes none. */
  submit(work: Work): Promise<WorkResult> {
    const { scheduler } = this.#serving();
    this.#residence.touch();
    const result = scheduler.submit(work);
    this.#residence.wakeUnlessAwake();
    return result;
  }

  /** Takes a request that was admitted, and counts what came of it. Errors: as `submit`. */
  async answer(work: Work): Promise<WorkResult> {
    const { clock } = this.#parts;
    const began = clock.monotonic();
    try {
      const result = await this.submit(work);
      this.#statistics.succeeded({ ...result, total: clock.monotonic() - began });
      return result;
    } catch (cause) {
      this.#statistics.failed(clock.monotonic() - began);
      throw cause;
    }
  }

  /** What it did since it was loaded. */
  statistics(): ServableStatistics {
    return this.#statistics.read(this.spec.model, this.spec.version);
  }

  /**
   * Runs and compares in a worker nobody waits for; `undefined` when there is none: a shadow never makes a request wait
   * longer than the run it has begun.
   */
  async shadow(sample: Omit<SampleRun, 'runs' | 'budget' | 'copy'>): Promise<SampleResult | undefined> {
    const live = this.#state === 'available' ? this.#live : undefined;
    if (live !== undefined) this.#admitTo(live, sample.inputs);
    const instance = live === undefined ? undefined : this.#residence.acquire();
    if (instance === undefined) return undefined;
    try {
      return await instance.check({ ...sample, runs: 0, budget: 0, copy: true });
    } catch (cause) {
      throw this.#endedBy(sample.inputs, asSkerryError(cause));
    } finally {
      this.#residence.release(instance);
    }
  }

  /** Why it takes no request now. */
  refusal(): SkerryError {
    return refusalOf(this.status());
  }

  /** Takes no further request, answers those it has, frees everything. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<ServableStatus> {
    const { loader } = this.#parts;
    try {
      await this.#takeMemory();
      const onLoaded = (): void => {
        if (this.#state === 'loading') this.#move('loaded');
      };
      const placement = await loader.place(this.#spec, onLoaded, this.#cancel.signal);
      const { spec, candidate, instance, empties, notFinite, replaced, shared, classNames } = placement;
      this.#spec = spec;
      const scheduler = this.#makeScheduler();
      this.#scheduler = scheduler;
      await this.#warmed(instance);
      const { file } = candidate.variant;
      // Files of signed versions lie under their digests; others may be overwritten.
      const stamp = spec.declare === undefined ? undefined : await fileStamp(file);
      await this.#residence.fill(instance, async () => {
        if (stamp !== undefined) await requireSameFile(file, stamp);
        return this.#warmed(await loader.again(spec, { candidate, replaced }));
      });
      if (this.#error !== undefined) throw this.#error;
      if (this.#cancel.signal.aborted) throw new SkerryError('ABORTED', 'loading was cancelled');
      const placed = { variant: candidate.variant.name, provider: candidate.provider };
      const cost = await this.#costOf(candidate.variant, instance);
      await this.#residence.settle(cost.bytes);
      this.#live = { placed, scheduler, cost, empties, notFinite, shared, classNames };
      this.#move('warmed');
      return this.status();
    } catch (cause) {
      await this.#residence.close();
      this.#error = asSkerryError(cause);
      this.#instanceSpoiled(this.#error);
      if (this.#state !== 'failed') this.#move('failed');
      throw this.#error;
    }
  }

  async #warmed(instance: Instance): Promise<Instance> {
    try {
      await warmUpSizes(instance, this.#spec, this.#parts.settings.loadLimit);
      return instance;
    } catch (cause) {
      await instance.close();
      throw cause;
    }
  }

  /** Waits at most as long as a request would. */
  async #takeMemory(): Promise<void> {
    const { loader, keeper, clock, settings } = this.#parts;
    if (keeper.budgetBytes === undefined) return this.#residence.reserve(0, this.#cancel.signal);
    const { bytes } = await loader.expectedCost(this.#spec);
    const { signal, cancel } = timeoutSignal(clock, settings.requestTimeout);
    try {
      await this.#residence.reserve(bytes, AbortSignal.any([signal, this.#cancel.signal]));
    } finally {
      cancel();
    }
  }

  #costOf(variant: ServableSpec['variants'][number], { carrier }: Instance): Promise<LoadCost> {
    const instances = this.#spec.instances ?? this.#parts.settings.instances;
    return this.#residence.ownBytes().then((measured) => costOf(variant, carrier, instances, measured));
  }

  #line(): Scheduler<Instance> {
    if (this.#scheduler === undefined) throw new SkerryError('INTERNAL', 'the servable has no waiting line yet');
    return this.#scheduler;
  }

  #makeScheduler(): Scheduler<Instance> {
    const { clock, settings, logger } = this.#parts;
    return new Scheduler<Instance>({
      pool: this.#residence,
      clock,
      capacity: settings.queueCapacity,
      runLimit: settings.predictionLimit,
      onRan: (rows, times) => this.#statistics.ran(rows, times),
      onEnded: (work, error) => this.#endedBy(work.inputs, error),
      aloneFirst: ALONE_FIRST,
      hasRows: this.spec.maxRows !== undefined,
      batching: this.spec.batching === undefined ? undefined : batchPolicy(this.spec.batching),
      onBatchingStopped: (reason) =>
        logger.warn({ code: 'INFERENCE_OUTPUT_INVALID' }, `batching is switched off for this version: ${reason}`),
    });
  }

  #instanceEnded(error: SkerryError): void {
    this.#instanceSpoiled(error);
    if (isCrash(error)) this.#parts.onCrash(this, error);
  }

  /** A version that crashed native code, or did not come back from it, runs in a process of its own from now on. */
  #instanceSpoiled({ code, message }: SkerryError): void {
    if (code !== 'INFERENCE_CRASHED' && code !== 'INFERENCE_STUCK') return;
    const { model, version } = this.spec;
    void this.#parts.crashes.blame({ model, version, certainty: 'seen', why: message });
  }

  /**
   * A request ended its instance. The same inputs are refused from now on, so that sending them again and again harms nobody.
   * Who killed a process is not known: once may be chance, twice is not.
   */
  #endedBy(inputs: NamedTensors, error: SkerryError): SkerryError {
    const killed = error.details?.['signal'] === 'SIGKILL' || error.details?.['heapFull'] === true;
    if (error.code !== 'INFERENCE_CRASHED' && !killed) return error;
    const { model, version } = this.spec;
    const digest = digestOfInputs(inputs);
    if (killed && this.#killedBy !== digest) {
      this.#killedBy = digest;
      return error;
    }
    void this.#parts.crashes.blame({ model, version, digest, certainty: 'seen', why: error.message });
    const text = `${error.message}; ${model}@${version} is started again, and these inputs are refused for an hour`;
    return new SkerryError(error.code, text, { cause: error, details: { ...error.details, digest } });
  }

  #serving(): Live {
    if (this.#state !== 'available' || this.#live === undefined) throw this.refusal();
    return this.#live;
  }

  #admitTo({ empties, shared }: Live, inputs: NamedTensors): void {
    checkEmptySizes(empties, inputs);
    checkSharedSizes(shared, inputs);
    this.#parts.crashes.admit(this.spec, inputs);
  }

  #fail(error: SkerryError): void {
    this.#error = error;
    // Who waits in the queue hears that the version failed: none of their requests crashed it.
    this.#live?.scheduler.failAll(failureOf(this.spec, error));
    // While draining or loading, whoever drains or loads it finds out; only an available one changes state by itself.
    if (this.#state === 'available') this.#move('failed');
    void this.#residence.close();
  }

  async #stop(): Promise<void> {
    this.cancel();
    await this.#starting?.catch(() => undefined);
    if (this.#state === 'available') {
      this.#move('drain');
      await this.#live?.scheduler.idle();
    }
    await this.#residence.close();
    this.#live = undefined;
    this.#move('drained');
  }

  #move(event: ServableEvent): void {
    this.#state = transition(this.#state, event);
    this.#parts.onChange(this);
  }
}
