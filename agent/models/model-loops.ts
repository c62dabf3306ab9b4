import type { ModelName } from '#shared/bundle/names.js';
import type { StepLoop } from '#agent/install/step-loop.js';
import type { Step } from './decide/step.js';

/** The loops of the models that this device has or is to have. INVARIANT: a model has one loop at a time. */
export class ModelLoops {
  readonly #loops = new Map<ModelName, StepLoop<Step>>();
  readonly #create: (model: ModelName) => StepLoop<Step>;

  constructor(create: (model: ModelName) => StepLoop<Step>) {
    this.#create = create;
  }

  get size(): number {
    return this.#loops.size;
  }

  find(model: ModelName): StepLoop<Step> | undefined {
    return this.#loops.get(model);
  }

  /** The loop of a model, made when there is none. */
  of(model: ModelName): StepLoop<Step> {
    const known = this.#loops.get(model);
    if (known !== undefined) return known;
    const loop = this.#create(model);
    this.#loops.set(model, loop);
    return loop;
  }

  all(): readonly StepLoop<Step>[] {
    return [...this.#loops.values()];
  }

  /** Drops the idle loops of other models. A busy one stays until the next call: its step has to end first. */
  keepOnly(models: ReadonlySet<ModelName>): void {
    for (const [model, loop] of this.#loops) {
      if (models.has(model) || loop.busy) continue;
      this.#loops.delete(model);
      void loop.close();
    }
  }
}
