import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { InstallState } from '#shared/protocol/messages.js';
import type { StepMoment } from '#agent/install/step-loop.js';
import type { Step } from './decide/step.js';

/** A moment in the work of the manager at which a test may look, or cut the power. */
export type Moment =
  | StepMoment<Step>
  /** The new state of a version is on disk, and nothing was done because of it yet. */
  | { readonly at: 'persisted'; readonly model: ModelName; readonly version: VersionNumber; readonly state: InstallState };

/**
 * Called and waited for at every moment. The product passes none; programs composed by tests pass one that ends their own
 * process, which is why it is an argument and not a setting.
 */
export type Observe = (moment: Moment) => void | Promise<void>;
