import type { ModelName } from '#shared/bundle/names.js';
import type { Millis } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import { execute } from './executor.js';
import { completeDigests } from './decide/facts.js';
import { SerialWorker } from '#agent/install/serial-worker.js';
import type { Observe } from './observe.js';
import { planContext } from './decide/plan.js';
import { isOff, isProtected, nextCollection } from './decide/plan-space.js';
import type { DeviceSnapshot } from './decide/snapshot.js';
import type { Step } from './decide/step.js';
import type { StepContext } from './steps/context.js';

interface SpaceKeeperDeps {
  readonly context: StepContext;
  readonly logger: Logger;
  readonly observe: Observe | undefined;
  survey(): Promise<DeviceSnapshot>;
  desired(model: ModelName): DesiredModel | undefined;
  /** The step of a model in progress. */
  currentStep(model: ModelName): Step | undefined;
  /** Something was deleted: what waited for space can go on. */
  onFreed(): void;
}

/** Makes space in the cache, one eviction at a time, beside whatever the models do. */
export class SpaceKeeper {
  readonly #deps: SpaceKeeperDeps;
  readonly worker = new SerialWorker(() => this.#makeSpace());
  #diskFull = false;
  /** Models that were taken off, and since when. */
  #offSince: ReadonlyMap<ModelName, Millis> = new Map();
  #cancelWake: () => void = () => undefined;

  constructor(deps: SpaceKeeperDeps) {
    this.#deps = deps;
  }

  /** A write found the disk full, and nothing was freed since. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  noteDiskFull(): void {
    this.#diskFull = true;
    this.worker.kick();
  }

  /** Another write is tried: whether the disk is full is open again. */
  forgetDiskFull(): void {
    this.#diskFull = false;
  }

  async #makeSpace(): Promise<boolean> {
    const { context, observe, logger } = this.#deps;
    try {
      const surveyed = this.#noteOff(await this.#deps.survey());
      this.#wakeFor(surveyed);
      const { space, device } = planContext(surveyed);
      const [step] = space.steps;
      if (step === undefined || (step.kind === 'evict' && !this.#mayEvict(device, step))) return false;
      await observe?.({ at: 'before', step });
      await execute(step, context, new AbortController().signal);
      await observe?.({ at: 'after', step });
      this.#diskFull = false;
      this.#deps.onFreed();
      return true;
    } catch (cause) {
      const error = asSkerryError(cause);
      logger.warn({ code: error.code }, `disk space could not be freed: ${error.message}`);
      return false;
    }
  }

  #noteOff(device: DeviceSnapshot): DeviceSnapshot {
    const off = device.models.filter((model) => isOff(model, device) && model.versions.length > 0);
    this.#offSince = new Map(off.map(({ model }) => [model, this.#offSince.get(model) ?? device.now]));
    return { ...device, models: device.models.map((model) => ({ ...model, ...offSinceOf(this.#offSince.get(model.model)) })) };
  }

  #wakeFor(device: DeviceSnapshot): void {
    this.#cancelWake();
    const at = nextCollection(device);
    if (at !== undefined && at > device.now)
      this.#cancelWake = this.#deps.context.clock.schedule(at - device.now, () => this.worker.kick());
  }

  /** What was planned a moment ago must still hold: a model's loop may have turned to this version since. */
  #mayEvict(device: DeviceSnapshot, { model, version }: Step<'evict'>): boolean {
    const current = this.#deps.currentStep(model);
    if (current !== undefined && 'version' in current && current.version === version) return false;
    const snapshot = device.models.find((candidate) => candidate.model === model);
    const facts = snapshot?.versions.find(({ record }) => record.version === version);
    if (snapshot === undefined || facts === undefined) return false;
    return !isProtected({ ...snapshot, desired: this.#deps.desired(model) }, facts, completeDigests(device));
  }
}

function offSinceOf(since: Millis | undefined): { readonly offSince?: Millis } {
  return since === undefined ? {} : { offSince: since };
}
