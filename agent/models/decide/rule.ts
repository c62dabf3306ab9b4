import type { Digest } from '#shared/bundle/names.js';
import type { SpacePlan } from './plan-space.js';
import type { DeviceSnapshot, ModelSnapshot } from './snapshot.js';
import type { Step } from './step.js';

/** What a rule looks at. */
export interface PlanContext {
  readonly device: DeviceSnapshot;
  readonly complete: ReadonlySet<Digest>;
  readonly space: SpacePlan;
}

/** One rule of the plan: the next step of a model, or nothing to say. */
export type Rule = (model: ModelSnapshot, context: PlanContext) => Step | undefined;
