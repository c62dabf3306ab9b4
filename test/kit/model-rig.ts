import { onTestFinished } from 'vitest';
import { SkerryError } from '#shared/kernel/errors.js';
import { createModelManager } from '#agent/models/create-manager.js';
import { BehaviourBook } from '#agent/metrics/behaviour.js';
import type { ModelManager, ModelSettings } from '#agent/models/manager.js';
import type { Moment } from '#agent/models/observe.js';
import type { StoreLimits } from '#agent/store/limits.js';
import type { AgentStore } from '#agent/store/open.js';
import { openStore } from './agent-store.js';
import { FakeDesired, FakeEvents, FakeHub, FakeServables, type FakeVersion } from './model-fakes.js';
import { recordingLogger } from './recorder.js';
import { tempFolder } from './temp-folder.js';
import { until } from './until.js';
import { settled, VirtualClock } from './virtual-clock.js';

export const SETTINGS: ModelSettings = { bake: 60_000, maxBoots: 2, retry: { base: 1_000, max: 60_000 } };

export interface RigOptions {
  readonly limits?: Partial<StoreLimits>;
  readonly settings?: Partial<ModelSettings>;
  readonly providers?: readonly string[];
  /** Has the device judge versions by how they behave: tell `rig.behaviour` what requests did. */
  readonly judges?: boolean;
}

/** One run of the manager: from a start to a crash or a close. Runtime and events are its own; hub, desired state and disk outlive it. */
export interface Run {
  readonly manager: ModelManager;
  readonly store: AgentStore;
  readonly servables: FakeServables;
}

/**
 * A device without a network cable: real store in a real folder, fakes for hub and runtime, virtual time. `crash` ends a run
 * as a killed process would: nothing more is written, nothing is closed in order.
 */
export class ModelRig {
  readonly hub = new FakeHub();
  readonly desired = new FakeDesired();
  readonly clock = new VirtualClock();
  readonly events = new FakeEvents();
  readonly log = recordingLogger();
  /** Of the run: what the process remembers. */
  behaviour = new BehaviourBook(this.clock);
  readonly folder: string;
  readonly #options: RigOptions;
  readonly #behaviours: { version: FakeVersion; behaviour: Parameters<FakeServables['behave']>[1] }[] = [];
  /** Install states in the order they became durable, over all runs: `1:wanted`. */
  readonly states: string[] = [];
  freeMemoryBytes = Number.MAX_SAFE_INTEGER;
  /** Versions that are known to have been in native code when the run before ended; `undefined`: not known. */
  suspects: readonly FakeVersion[] | undefined;
  /** No write finds space while it is set. */
  diskFull = false;
  /** Called at every moment of the run that is alive. */
  onMoment: (moment: Moment) => void = () => undefined;
  #run: Run | undefined;
  /** Of the run that is alive. */
  #token: object | undefined;
  #crashAt: ((moment: Moment) => boolean) | undefined;
  #crashed: (() => void) | undefined;

  private constructor(folder: string, options: RigOptions) {
    this.folder = folder;
    this.#options = options;
  }

  static async create(options: RigOptions = {}): Promise<ModelRig> {
    const rig = new ModelRig(await tempFolder(), options);
    onTestFinished(() => rig.crash());
    return rig;
  }

  /** A device that serves version 1 of `vad` as good, with nothing noted of how it came to that. */
  static async serving(options: RigOptions = {}): Promise<{ rig: ModelRig; one: FakeVersion }> {
    const rig = await ModelRig.create(options);
    const one = rig.version('vad', 1);
    rig.desired.want(one);
    await rig.start();
    await rig.eventually('version 1 is good', async () => (await rig.installOf(one)) === 'good');
    rig.states.length = 0;
    rig.events.emitted.length = 0;
    return { rig, one };
  }

  /** Publishes a version that loads as told. */
  version(
    name: string,
    number: number,
    behaviour: 'good' | 'hangs' | SkerryError = 'good',
    options: Parameters<FakeHub['publish']>[2] = {},
  ): FakeVersion {
    const version = this.hub.publish(name, number, options);
    this.behave(version, behaviour);
    return version;
  }

  behave(version: FakeVersion, behaviour: 'good' | 'hangs' | SkerryError): void {
    this.#behaviours.push({ version, behaviour });
    this.#run?.servables.behave(version, behaviour);
  }

  get run(): Run {
    if (this.#run === undefined) throw new Error('the device is off');
    return this.#run;
  }

  async start(): Promise<Run> {
    const store = await openStore(this.folder, this.#options.limits);
    const servables = new FakeServables();
    for (const { version, behaviour } of this.#behaviours) servables.behave(version, behaviour);
    this.behaviour = new BehaviourBook(this.clock);
    const token = {};
    this.#token = token;
    const manager = createModelManager({
      state: refusing(store.state, ['putVersion', 'deleteVersion', 'commitSwitch', 'deleteServing'], () => this.diskFull),
      blobs: refusing(store.blobs, ['open'], () => this.diskFull),
      trust: this.hub,
      fetcher: this.hub,
      desired: this.desired,
      servables,
      events: this.events,
      machine: {
        providers: () => this.#options.providers ?? ['cpu'],
        memoryBytes: () => 1_000_000,
        freeMemoryBytes: () => this.freeMemoryBytes,
      },
      clock: this.clock,
      logger: this.log.logger,
      random: () => 0.5,
      settings: { ...SETTINGS, ...this.#options.settings },
      ...(this.#options.judges === true ? { behaviour: this.behaviour } : {}),
      suspects: this.suspects,
      observe: (moment) => this.#observe(moment, token),
    });
    this.#run = { manager, store, servables };
    await manager.start();
    return this.#run;
  }

  /** Ends the run at the first moment `at` names: what was written by then is all there is. */
  async crashAt(at: (moment: Moment) => boolean, work: () => Promise<unknown> | void): Promise<void> {
    const crashed = new Promise<void>((resolve) => (this.#crashed = resolve));
    this.#crashAt = at;
    await work();
    await crashed;
    await this.crash();
  }

  async crash(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    this.#token = undefined;
    this.#crashAt = undefined;
    await run?.store.close();
  }

  async close(): Promise<void> {
    const { manager, store } = this.run;
    await manager.close();
    this.#run = undefined;
    await store.close();
  }

  /** Waits until nothing is being done, then tells the version that answers. */
  async settled(model: FakeVersion['model']): Promise<number | undefined> {
    // What was wanted just now has to reach the manager first.
    await settled();
    await this.run.manager.idle();
    return this.run.servables.answering(model);
  }

  /** Waits until nothing is being done, or what is being done hangs as the test told it to: that must not keep the test from looking. */
  async atRest(): Promise<void> {
    await settled();
    const { run } = this;
    let idle = false;
    const rest = run.manager.idle().then(() => (idle = true));
    const hang = until('rest', () => idle || this.hub.hanging + run.servables.hanging > 0 || this.#run !== run, { everyMs: 5 });
    await Promise.race([rest, hang]);
  }

  /** Polls until `holds`, letting virtual time pass whenever the device is at rest: how long the machine takes does not count. */
  async eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    await until(
      what,
      async () => {
        await this.atRest();
        if (await holds()) return true;
        await this.clock.advance(1_000);
        return false;
      },
      { everyMs: 5 },
    );
  }

  /** Waits until `version` answers and the work that brought it there is over: the switch shows before it is written down. */
  async answers(model: FakeVersion['model'], version: number): Promise<void> {
    await this.eventually(`${model} ${version} answers`, async () => {
      return this.run.servables.answering(model) === version && (await this.settled(model)) === version;
    });
  }

  async installOf({ model, version }: FakeVersion): Promise<string | undefined> {
    return (await this.run.store.state.versions()).find((record) => record.model === model && record.version === version)?.install;
  }

  /** Requests a version answered, or failed, now; milliseconds each took. */
  asked(
    { model, version }: Pick<FakeVersion, 'model' | 'version'>,
    figures: { answered?: number; failed?: number; refused?: number; ms?: number },
  ): void {
    const target = { model, version, variant: 'fp32', provider: 'cpu' };
    const { answered = 0, failed = 0, refused = 0, ms = 10 } = figures;
    for (let i = 0; i < answered; i++) this.behaviour.succeeded(target, { queue: 0, compute: ms, total: ms });
    for (let i = 0; i < failed; i++) this.behaviour.failed(target, 'INFERENCE_RUN_FAILED');
    for (let i = 0; i < refused; i++) this.behaviour.failed(target, i % 2 === 0 ? 'TENSOR_SHAPE' : 'INFERENCE_INPUT_REFUSED');
  }

  eventKinds(): string[] {
    return this.events.emitted.map((event) => event.kind);
  }

  async #observe(moment: Moment, token: object): Promise<void> {
    const isCurrent = this.#token === token;
    if (isCurrent && moment.at === 'persisted') this.states.push(`${moment.version}:${moment.state}`);
    if (isCurrent) this.onMoment(moment);
    if (isCurrent && this.#crashAt?.(moment) !== true) return;
    this.#crashAt = undefined;
    this.#crashed?.();
    await new Promise<never>(() => undefined); // The process is gone: nothing after this moment happens.
  }
}

/** The real thing, except that some of its calls find the disk full while `full` holds. */
function refusing<T extends object>(real: T, writes: readonly (keyof T)[], full: () => boolean): T {
  return new Proxy(real, {
    get(target, key, receiver): unknown {
      const value: unknown = Reflect.get(target, key, receiver);
      if (!writes.some((name) => name === key) || !full()) return value;
      return () => Promise.reject(new SkerryError('DISK_FULL', 'the test filled the disk'));
    },
  });
}
