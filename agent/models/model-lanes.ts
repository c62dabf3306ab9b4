import type { ModelName } from '#shared/bundle/names.js';
import type { ModelLane } from './model-lane.js';

/** The lanes of the models that this device has or is to have. INVARIANT: a model has one lane at a time. */
export class ModelLanes {
  readonly #lanes = new Map<ModelName, ModelLane>();
  readonly #create: (model: ModelName) => ModelLane;

  constructor(create: (model: ModelName) => ModelLane) {
    this.#create = create;
  }

  get size(): number {
    return this.#lanes.size;
  }

  find(model: ModelName): ModelLane | undefined {
    return this.#lanes.get(model);
  }

  /** The lane of a model, made when there is none. */
  of(model: ModelName): ModelLane {
    const known = this.#lanes.get(model);
    if (known !== undefined) return known;
    const lane = this.#create(model);
    this.#lanes.set(model, lane);
    return lane;
  }

  all(): readonly ModelLane[] {
    return [...this.#lanes.values()];
  }

  /** Drops the idle lanes of other models. A busy one stays until the next call: its step has to end first. */
  keepOnly(models: ReadonlySet<ModelName>): void {
    for (const [model, entry] of this.#lanes) {
      if (models.has(model) || entry.lane.busy) continue;
      this.#lanes.delete(model);
      void entry.close();
    }
  }
}
