import type { ModelName } from '#shared/bundle/names.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import { execute } from './executor.js';
import { Lane } from './lane.js';
import type { Observe } from './observe.js';
import { planContext } from './plan.js';
import { isProtected } from './plan-space.js';
import type { DeviceSnapshot } from './snapshot.js';
import type { Step } from './step.js';
import type { StepContext } from './steps/context.js';

export interface SpaceKeeperDeps {
  readonly context: StepContext;
  readonly logger: Logger;
  readonly observe: Observe | undefined;
  survey(): Promise<DeviceSnapshot>;
  desired(model: ModelName): DesiredModel | undefined;
  /** The step a model's lane is at. */
  currentStep(model: ModelName): Step | undefined;
  /** Something was deleted: what waited for space can go on. */
  onFreed(): void;
}

/** Makes space in the cache, one eviction at a time, beside whatever the models do. */
export class SpaceKeeper {
  readonly #deps: SpaceKeeperDeps;
  readonly #lane = new Lane(() => this.#makeSpace());
  #diskFull = false;

  constructor(deps: SpaceKeeperDeps) {
    this.#deps = deps;
  }

  /** A write found the disk full, and nothing was freed since. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  get lane(): Lane {
    return this.#lane;
  }

  noteDiskFull(): void {
    this.#diskFull = true;
    this.#lane.kick();
  }

  /** Another write is tried: whether the disk is full is open again. */
  forgetDiskFull(): void {
    this.#diskFull = false;
  }

  async #makeSpace(): Promise<boolean> {
    const { context, observe, logger } = this.#deps;
    try {
      const { space, device } = planContext(await this.#deps.survey());
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
      logger.warn({ code: error.code }, `no space could be made: ${error.message}`);
      return false;
    }
  }

  /** What was planned a moment ago must still hold: a lane may have turned to this version since. */
  #mayEvict(device: DeviceSnapshot, { model, version }: Step<'evict'>): boolean {
    const current = this.#deps.currentStep(model);
    if (current !== undefined && 'version' in current && current.version === version) return false;
    const snapshot = device.models.find((candidate) => candidate.model === model);
    const facts = snapshot?.versions.find(({ record }) => record.version === version);
    return snapshot !== undefined && facts !== undefined && !isProtected({ ...snapshot, desired: this.#deps.desired(model) }, facts);
  }
}
