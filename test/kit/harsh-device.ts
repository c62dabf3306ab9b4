import type { Digest, ModelName } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ServableSpec, ServableStatus } from '#agent/inference/contract.js';
import { createModelManager } from '#agent/models/create-manager.js';
import type { ModelManager } from '#agent/models/manager.js';
import type { Moment } from '#agent/models/observe.js';
import { stepKey } from '#agent/install/decide/install-step.js';
import type { Step } from '#agent/models/decide/step.js';
import type { VersionRecord } from '#agent/store/contract.js';
import { FakeDesired, FakeEvents, type FakeHub, FakeServables, type FakeVersion } from './model-fakes.js';
import { MemoryDisk } from './memory-disk.js';
import { recordingLogger } from './recorder.js';
import { versionNumber } from './servables.js';
import { settled, VirtualClock } from './virtual-clock.js';

/** How a version fares on this device, whenever it is loaded. */
export type Nature =
  | { readonly kind: 'sound' }
  /** Fails its golden samples. */
  | { readonly kind: 'broken' }
  /** Takes the process down, is too slow to load, or stops by itself soon after it loaded; `times` loads long, then it is sound. */
  | { readonly kind: 'crashes' | 'slow' | 'dies'; readonly times: number };

/** Steps without time passing, past which the device is taken to go round in circles. */
const MAX_STEPS_AT_ONCE = 400;
/** Ends of the process by versions over a whole history, past which one of them is loaded again and again. */
const MAX_CRASHES = 40;

/**
 * A whole device in memory around the real manager: everything that is kept outlives the process, and the process ends where
 * it is told to. Started again, as the unit does, half a second later. Whatever must never happen is noted in `violations`.
 */
export class HarshDevice {
  readonly disk = new MemoryDisk();
  readonly clock = new VirtualClock();
  readonly desired = new FakeDesired();
  readonly violations: string[] = [];
  /** Every step done, the process that did it included. */
  readonly steps: string[] = [];
  memoryIsShort = false;
  /** Writes until the process ends, or `undefined`: it lives. */
  killAfterWrites: number | undefined;
  readonly #hub: FakeHub;
  readonly #published: ReadonlyMap<string, FakeVersion>;
  readonly #natures = new Map<string, { readonly kind: Nature['kind']; left: number }>();
  #process: { readonly manager: ModelManager; readonly servables: NaturalServables } | undefined;
  #starts = 0;
  #crashes = 0;
  #stepsAtOnce = 0;
  #stepsAt = -1;

  constructor(hub: FakeHub, published: ReadonlyMap<string, FakeVersion>, natures: ReadonlyMap<string, Nature>) {
    this.#hub = hub;
    this.#published = published;
    for (const [key, nature] of natures) this.#natures.set(key, { kind: nature.kind, left: 'times' in nature ? nature.times : Infinity });
  }

  async start(): Promise<void> {
    const run = ++this.#starts;
    const isGone = (): boolean => this.#starts !== run || this.#process === undefined;
    const gate = async (): Promise<void> => {
      if (this.#starts === run && this.killAfterWrites !== undefined && --this.killAfterWrites < 0) this.kill();
      if (isGone()) await new Promise<never>(() => undefined);
    };
    const { logger } = recordingLogger();
    const servables = new NaturalServables(this, isGone);
    const manager = createModelManager({
      ...this.disk.attach(gate),
      trust: this.#hub,
      fetcher: this.#hub,
      desired: this.desired,
      servables,
      events: new FakeEvents(),
      machine: { providers: () => ['cpu'], memoryBytes: () => 1_000_000, freeMemoryBytes: () => (this.memoryIsShort ? 0 : 1_000_000) },
      clock: this.clock,
      logger: {
        ...logger,
        warn: (fields, message) => this.#logged(fields['code'], message),
        error: (fields, message) => this.#logged('planning', `${String(fields['code'])} ${message}`),
      },
      random: () => 0.5,
      settings: { bake: 60_000, maxBoots: 2, retry: { base: 1_000, max: 60_000 } },
      observe: (moment) => (isGone() ? undefined : this.#observe(moment)),
    });
    this.#process = { manager, servables };
    void manager.start();
    await settled();
  }

  /** As power cut or `kill -9`: what was written by now is all there is. */
  kill(startsAgain = true): void {
    this.#process = undefined;
    this.killAfterWrites = undefined;
    this.steps.push('killed');
    if (startsAgain) this.clock.schedule(500, () => void this.start());
  }

  /** A version took the process down. */
  crash(what: string): void {
    // A full disk counts no starts: what serves is loaded all the same.
    if (!this.disk.full) this.#crashes += 1;
    this.kill(this.#crashes < MAX_CRASHES);
    if (this.#crashes === MAX_CRASHES) this.violations.push(`${what} takes the process down again and again`);
  }

  /** Ends in order, and is started again. */
  async restart(): Promise<void> {
    void this.#process?.manager.close().then(() => this.kill());
    await this.wait(500); // Or it is killed while it closes.
  }

  async wait(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  /** A loaded version stops by itself. */
  fail({ model, version }: FakeVersion): void {
    this.#process?.servables.stop(model, version);
  }

  answering(model: ModelName): number | undefined {
    return this.#process?.servables.answering(model);
  }

  records(model: ModelName): VersionRecord[] {
    return [...this.disk.versions.values()].filter((record) => record.model === model);
  }

  isWhole(version: FakeVersion): boolean {
    return [version.manifest, ...version.artifacts].every((digest) => this.disk.isWhole(digest));
  }

  /** True once nothing of its nature keeps a version from serving any more. */
  isSound({ model, version }: Pick<FakeVersion, 'model' | 'version'>): boolean {
    const nature = this.#natures.get(`${model}@${version}`);
    return nature === undefined || nature.kind === 'sound' || (nature.kind !== 'broken' && nature.left <= 0);
  }

  /** From now on a version fares differently. */
  turn({ model, version }: Pick<FakeVersion, 'model' | 'version'>, nature: Nature): void {
    this.#natures.set(`${model}@${version}`, { kind: nature.kind, left: 'times' in nature ? nature.times : Infinity });
  }

  /** Takes one of the times a nature shows itself. */
  strikes({ model, version }: Pick<FakeVersion, 'model' | 'version'>): Nature['kind'] {
    const nature = this.#natures.get(`${model}@${version}`);
    if (nature === undefined || nature.left <= 0) return 'sound';
    nature.left -= 1;
    return nature.kind;
  }

  #logged(code: unknown, message: string): void {
    // A version may be evicted between the plan of a step and the step.
    if (message.endsWith('is not known here')) return;
    if (['INTERNAL', 'MODELS_ILLEGAL_TRANSITION', 'planning'].includes(String(code))) this.violations.push(message);
  }

  #observe(moment: Moment): void | Promise<void> {
    if (moment.at !== 'before') return undefined;
    const { step } = moment;
    this.steps.push(`${step.model ?? ''} ${stepKey(step)}`);
    this.#check(step);
    const now = this.clock.monotonic();
    this.#stepsAtOnce = this.#stepsAt === now ? this.#stepsAtOnce + 1 : 0;
    this.#stepsAt = now;
    if (this.#stepsAtOnce < MAX_STEPS_AT_ONCE) return undefined;
    this.violations.push(`no end: ${this.steps.slice(-12).join(', ')}`);
    this.#process = undefined;
    return new Promise<never>(() => undefined);
  }

  #check(step: Step): void {
    if (step.kind === 'switch' || step.kind === 'rollBack') {
      const minimum = this.#hub.minimums.get(step.model) ?? 1;
      if (step.version < minimum) this.violations.push(`${stepKey(step)} below ${minimum}`);
    }
    if (step.kind !== 'evict' && step.kind !== 'sweep') return;
    for (const { model, serving, lastKnownGood } of this.disk.serving.values()) {
      const kept = this.records(model).filter(
        ({ version, install }) => (version === serving || version === lastKnownGood) && (install === 'good' || install === 'probation'),
      );
      if (step.kind === 'evict' && kept.some(({ version }) => step.model === model && step.version === version))
        this.violations.push(`${stepKey(step)} is kept`);
      const files = new Set<Digest>(kept.flatMap(({ version }) => this.#filesOf(model, version)));
      if (step.digests.some((digest) => files.has(digest))) this.violations.push(`${stepKey(step)} takes files of what is kept`);
    }
  }

  #filesOf(model: ModelName, version: number): readonly Digest[] {
    const found = this.#published.get(`${model}@${version}`);
    return found === undefined ? [] : [found.manifest, ...found.artifacts];
  }
}

/** Every version of every model, small and all of one size. */
export function publishAll(hub: FakeHub, models: readonly string[], count: number): ReadonlyMap<string, FakeVersion> {
  const published = new Map<string, FakeVersion>();
  for (const model of models)
    for (let number = 1; number <= count; number += 1) {
      const version = hub.publish(model, number, { content: Buffer.from(`${model} ${number}`.padEnd(1_000)), memoryBytes: 10 });
      published.set(`${model}@${number}`, version);
    }
  return published;
}

/** A runtime in which versions fare as their natures and their files are. */
class NaturalServables extends FakeServables {
  readonly #device: HarshDevice;
  readonly #isGone: () => boolean;

  constructor(device: HarshDevice, isGone: () => boolean) {
    super();
    this.#device = device;
    this.#isGone = isGone;
  }

  override async load(spec: ServableSpec, signal?: AbortSignal): Promise<ServableStatus> {
    const nature = this.#device.strikes(spec);
    if (nature === 'crashes') {
      this.#device.crash(`${spec.model} ${spec.version}`);
      await new Promise<never>(() => undefined);
    }
    this.behave(spec, this.#behaviourOf(spec, nature));
    const status = await super.load(spec, signal);
    if (nature === 'dies') this.#device.clock.schedule(2_000, () => this.stop(spec.model, spec.version));
    return status;
  }

  stop(model: ModelName, version: number): void {
    if (this.#isGone() || !this.loaded().includes(`${model}@${version}`)) return;
    this.fail({ model, version: versionNumber(version) }, new SkerryError('INFERENCE_SERVABLE_FAILED', 'it stopped by itself'));
  }

  #behaviourOf(spec: ServableSpec, nature: Nature['kind']): 'good' | SkerryError {
    const files = [...spec.variants.map(({ file }) => file), ...spec.goldenSamples.map(({ file }) => file)];
    const { disk } = this.#device;
    if (!files.every((file) => disk.entries().some(({ digest }) => digest === file && disk.isWhole(digest))))
      return new SkerryError('INFERENCE_MODEL_INVALID', 'a file is not what it was');
    if (nature === 'broken') return new SkerryError('INFERENCE_GOLDEN_MISMATCH', 'other outputs');
    return nature === 'slow' ? new SkerryError('TIMEOUT', 'the machine was slow') : 'good';
  }
}
