import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { QuantileSketch } from '#shared/stats/sketch.js';

// What `models` needs of the figures of predictions. `metrics` implements it, `app` joins the two.

/** How a version behaved on this device. */
export interface BehaviourFigures {
  /** Answered and failed ones. */
  readonly predictions: number;
  readonly failed: number;
  /** Requests refused for what their callers sent; not among `predictions`. */
  readonly refused: number;
  /** Unexpected ends of its workers. */
  readonly crashes: number;
  /** Whole requests that were answered, milliseconds. */
  readonly latency: QuantileSketch;
}

/** What the device itself holds a version on trial to. */
export interface BehaviourSource {
  /** The last half hour of a version. */
  recent(model: ModelName, version: VersionNumber): BehaviourFigures;
  /** Everything since `begin`; `undefined` when it was not begun since the agent started. */
  trial(model: ModelName, version: VersionNumber): BehaviourFigures | undefined;
  begin(model: ModelName, version: VersionNumber): void;
  forget(model: ModelName, version: VersionNumber): void;
}
