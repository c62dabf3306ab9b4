import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { onTestFinished } from 'vitest';
import type { Reported } from '#shared/protocol/messages.js';
import { digestOf } from '#shared/bundle/digest.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { launch } from '#agent/update/launch.js';
import type { Launched } from '#agent/update/launched.js';
import { readLaunched } from '#agent/update/launched.js';
import type { StepMoment } from '#agent/install/step-loop.js';
import type { UpdateStep } from '#agent/update/decide/update-plan.js';
import { SlotFolder } from '#agent/update/slot-folder.js';
import type { SlotName, Slots } from '#agent/update/slots.js';
import { Updater } from '#agent/update/updater.js';
import { MIGRATIONS } from '#agent/store/worker/migrations.js';
import type { AgentStore } from '#agent/store/open.js';
import { bytesFrom, openStore } from './agent-store.js';
import { FakeDesired, FakeEvents, FakeHub, type FakeVersion } from './model-fakes.js';
import { recordingLogger } from './recorder.js';
import { tempFolder } from './temp-folder.js';
import { until } from './until.js';
import { settled, VirtualClock } from './virtual-clock.js';

/** How a release does once it runs. */
export type ReleaseBehaviour = 'good' | 'crash' | 'deaf' | 'no-models' | 'not-a-program';

/** One process: the agent that runs now. */
interface Run {
  readonly updater: Updater;
  readonly store: AgentStore;
  readonly launched: Launched;
  /** Resolves when the process was killed: its work never ends. */
  readonly killed: Promise<void>;
}

export const BAKE = 60_000;

/**
 * A device with a launcher and an updater: real store, real slots in a real folder; fakes for hub, programs and the rest of the
 * agent; virtual time. A process that ends is started again, as a service manager does.
 */
export class UpdateRig {
  readonly hub = new FakeHub();
  readonly desired = new FakeDesired();
  readonly clock = new VirtualClock();
  readonly events = new FakeEvents();
  readonly log = recordingLogger();
  readonly folder: string;
  readonly slots: SlotFolder;
  readonly #behaviours = new Map<string, ReleaseBehaviour>();
  /** What ran, start by start: `packaged`, or the release in a slot. */
  readonly ran: string[] = [];
  /** Names of the moments: `before place`. */
  readonly moments: string[] = [];
  /** Called at every moment of the run that is alive. */
  onMoment: (name: string) => void = () => undefined;
  /** Kernel timers as they were set in the run that is alive. */
  timers: number[] = [];
  online = true;
  /** The agent does its work. */
  alive = true;
  packaged = '0.1.0';
  /** Schema of the state that the packaged executable knows, as its launcher tells. */
  packagedSchema = MIGRATIONS.length;
  /** Names of releases, as in `ran`, that end as soon as they are started, although they did not before. */
  readonly ending = new Set<string>();
  /** Models that are wanted and do not serve. */
  readonly notServing = new Set<string>();
  /** Writes of the slot file fail while it is set. */
  diskFull = false;
  #killAt: string | undefined;
  /** Writes of the agent (slots and records) until the process is gone. */
  #writesLeft = Number.POSITIVE_INFINITY;
  #run: Run | undefined;
  #token: object | undefined;
  /** A process that ended is being started again. */
  #restarting: Promise<void> | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.slots = new SlotFolder(folder);
  }

  static async create(): Promise<UpdateRig> {
    const rig = new UpdateRig(await tempFolder());
    onTestFinished(() => rig.#end());
    return rig;
  }

  /** Publishes a release that behaves so, and wants it. */
  release(number: number, behaviour: ReleaseBehaviour, options: Parameters<FakeHub['publishAgent']>[2] = {}): FakeVersion {
    const content = bytesFrom(`agent ${number}`, 10_000);
    const version = this.hub.publishAgent(number, content, options);
    this.#behaviours.set(version.artifacts[0] ?? '', behaviour);
    return version;
  }

  get run(): Run {
    if (this.#run === undefined) throw new Error('nothing runs');
    return this.#run;
  }

  /** At the next moment of this name the process is gone; what is on the disk by then is all there is. */
  killAt(moment: string): void {
    this.#killAt = moment;
  }

  /** The process is gone once so many more writes of the agent, of slots or of records, are on the disk. */
  killAfterWrites(count: number): void {
    this.#writesLeft = count;
  }

  /** False until a kill that was asked for has happened. */
  get wasKilled(): boolean {
    return this.#killAt === undefined && this.#writesLeft === Number.POSITIVE_INFINITY;
  }

  /** Starts the process, again and again where it ends by itself. */
  async start(): Promise<void> {
    await this.#end();
    for (let starts = 0; starts < 100; starts += 1) {
      const launched = await this.#launch();
      const name = launched.runs === 'packaged' ? 'packaged' : await this.#nameOf(launched.runs);
      this.ran.push(name);
      const behaviour = launched.runs === 'packaged' ? 'good' : await this.#behaviourOf(launched.runs);
      if (behaviour === 'crash' || this.ending.has(name)) continue;
      await this.#open(launched, behaviour);
      return;
    }
    throw new Error('no process stays');
  }

  /** Polls until `holds`, letting time pass whenever nothing is being done: how long the machine takes does not count. */
  async eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    await until(
      what,
      async () => {
        await this.#rest();
        if (await holds()) return true;
        await this.clock.advance(5_000);
        return false;
      },
      { everyMs: 5 },
    );
  }

  /** Resolves once nothing is being done, and a process that ended runs again. */
  async #rest(): Promise<void> {
    for (;;) {
      // What was wanted just now has to reach the updater first.
      await settled();
      if (this.#restarting !== undefined) {
        await this.#restarting;
        continue;
      }
      const { run } = this;
      await Promise.race([run.updater.idle(), run.killed]);
      if (this.#run === run && this.#restarting === undefined) return;
    }
  }

  reported(number: number): Reported['models'][number]['versions'][number] | undefined {
    return this.run.updater
      .reported()
      .flatMap(({ versions }) => versions)
      .find(({ version }) => version === number);
  }

  async state(): Promise<Slots | undefined> {
    return this.slots.read();
  }

  /** Waits until the device is at rest with a release in this state, and was killed where it was to be. */
  async settled(number: number, install: 'good' | 'bad'): Promise<void> {
    await this.eventually(`release ${number} to be ${install}`, async () => {
      if (this.#killAt !== undefined) return false;
      const slots = await this.state();
      return this.reported(number)?.install === install && (slots?.trying ?? null) === null && (slots?.refused ?? null) === null;
    });
  }

  /** SIGTERM; or, for another ending, what the agent does when it can no longer do its work. */
  async stop(ending: 'asked' | 'failed' = 'asked'): Promise<void> {
    await this.run.updater.close(ending);
    await this.#end();
  }

  async #launch(): Promise<Launched> {
    const refused = async (slot: SlotName): Promise<boolean> => (await this.#behaviourOf(slot)) === 'not-a-program';
    const notPrograms = new Set<string>();
    for (const slot of ['a', 'b'] as const) if (await refused(slot)) notPrograms.add(this.slots.executable(slot));
    const env: Record<string, string | undefined> = {};
    this.timers = [];
    const launched = await launch({
      folder: this.#folder(),
      program: { ...this.#program(), replaceBy: (file) => this.#become(file, notPrograms) },
      packaged: this.packaged,
      args: ['run'],
      env,
    });
    return { ...(readLaunched(env) ?? launched), schema: this.packagedSchema };
  }

  #become(file: string, notPrograms: ReadonlySet<string>): void {
    if (notPrograms.has(file)) throw new SkerryError('IO_FAILED', 'Exec format error');
  }

  #program(): NonNullable<Parameters<typeof Updater.open>[0]['program']> {
    return {
      file: '/usr/lib/skerry-agent/skerry-agent',
      natives: 'e'.repeat(64),
      replaceBy: () => undefined,
      endAfter: (seconds) => void this.timers.push(seconds),
      digestOf: (file) => digestOf(readFileSync(file)),
      codeCache: () => 'used',
      sweepNatives: () => undefined,
    };
  }

  /** The real folder, except that writes of the slot file fail on a full disk. */
  #folder(written: () => Promise<void> = () => Promise.resolve()): SlotFolder {
    const folder = new SlotFolder(this.folder);
    const write = folder.write.bind(folder);
    folder.write = (slots) =>
      this.diskFull ? Promise.reject(new SkerryError('DISK_FULL', 'the test filled the disk')) : write(slots).then(written);
    return folder;
  }

  async #written(token: object, store: AgentStore, kill: () => void): Promise<void> {
    if (this.#token !== token || this.#restarting !== undefined) return;
    this.#writesLeft -= 1;
    if (this.#writesLeft > 0) return;
    this.#writesLeft = Number.POSITIVE_INFINITY;
    await this.#die(store, kill);
  }

  /** The process is gone: nothing happens in it after this moment. */
  #die(store: AgentStore, kill: () => void): Promise<never> {
    this.#token = undefined;
    this.#run = undefined;
    this.#restart(() => store.close());
    kill();
    return new Promise<never>(() => undefined);
  }

  async #open(launched: Launched, behaviour: ReleaseBehaviour): Promise<void> {
    const store = await openStore(this.folder);
    const token = {};
    this.#token = token;
    let kill = (): void => undefined;
    const killed = new Promise<void>((resolve) => (kill = resolve));
    const written = (): Promise<void> => this.#written(token, store, kill);
    const updater = await Updater.open({
      state: {
        get: (key) => store.state.get(key),
        serving: () => store.state.serving(),
        set: (key, value) => store.state.set(key, value).then(written),
      },
      blobs: store.blobs,
      trust: this.hub,
      fetcher: this.hub,
      desired: this.desired,
      events: this.events,
      clock: this.clock,
      logger: this.log.logger,
      random: () => 0.5,
      settings: { bake: BAKE, alive: 30_000, retry: { base: 1_000, max: 60_000 } },
      folder: this.#folder(written),
      launched,
      program: this.#program(),
      release: this.packaged,
      platform: { os: 'linux', arch: 'x64' },
      models: () => (behaviour === 'no-models' ? [] : this.#models()),
      isOnline: () => this.online,
      confirm: () => (this.online && behaviour !== 'deaf' ? Promise.resolve() : new Promise(() => undefined)),
      isAlive: () => (this.alive ? Promise.resolve() : Promise.reject(new SkerryError('INTERNAL', 'the store does not answer'))),
      needSpace: () => undefined,
      makeRoom: () => void (this.#token === token && this.#again()),
      onGood: () => Promise.resolve(),
      observe: (moment) => this.#observe(moment, token, store, kill),
    });
    this.#run = { updater, store, launched, killed };
    await updater.start();
  }

  /** What the device serves beside its own releases. */
  #models(): Reported['models'] {
    return (this.desired.current()?.models ?? [])
      .filter(({ model }) => model !== 'skerry-agent')
      .map(({ model, version }) => ({ model, serving: this.notServing.has(model) ? null : version, versions: [] }));
  }

  #again(): void {
    const { updater } = this.run;
    this.#restart(() => updater.close());
  }

  /** In a turn of its own: who ends the process is still at work in it. */
  #restart(end: () => Promise<void>): void {
    const restarted = settled()
      .then(end)
      .then(() => this.start())
      .finally(() => {
        if (this.#restarting === restarted) this.#restarting = undefined;
      });
    this.#restarting = restarted;
  }

  async #observe({ at, step }: StepMoment<UpdateStep>, token: object, store: AgentStore, kill: () => void): Promise<void> {
    if (this.#token === token) {
      const name = `${at} ${step.kind}`;
      this.moments.push(name);
      this.onMoment(name);
      if (this.#killAt !== name) return;
      this.#killAt = undefined;
      await this.#die(store, kill);
    }
    await new Promise<never>(() => undefined); // The process is gone: nothing after this moment happens.
  }

  async #end(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    this.#token = undefined;
    await run?.store.close();
  }

  async #behaviourOf(slot: SlotName): Promise<ReleaseBehaviour> {
    const content = await readFile(this.slots.executable(slot)).catch(() => undefined);
    return content === undefined ? 'not-a-program' : (this.#behaviours.get(digestOf(content)) ?? 'not-a-program');
  }

  async #nameOf(slot: SlotName): Promise<string> {
    const slots = await this.state();
    return String([slots?.trying, slots?.good].find((each) => each?.slot === slot)?.version);
  }
}
