import type { Millis } from '#shared/kernel/clock.js';
import type { Trial } from './slots.js';

/** What is seen of the release on trial, by itself. */
export interface TrialFacts {
  /** Since when it runs, monotonic. */
  readonly since: Millis;
  /** How long it has to run before it can be good. */
  readonly bake: Millis;
  /** Models the release before it served, that are still wanted and that this one does not serve. */
  readonly missing: readonly string[];
  /** The hub said that it stored what this release said of itself. */
  readonly confirmed: boolean;
}

export type TrialVerdict =
  /** Nothing is known yet before `until`; left out: until something happens. */
  | { readonly kind: 'wait'; readonly until?: Millis }
  | { readonly kind: 'good' }
  | { readonly kind: 'back'; readonly code: 'UPDATE_MODELS_FAILED' | 'UPDATE_NOT_CONNECTED'; readonly message: string };

/**
 * Whether a release on trial is good: after the bake time it serves what the one before it served, its golden samples
 * answered (no model serves without them), and the hub has acknowledged a word of it. One that cannot be heard goes back if the
 * one before it could be; a device that was offline before goes on waiting.
 */
export function judgeTrial(trial: Pick<Trial, 'wasOnline' | 'release'>, facts: TrialFacts, now: Millis): TrialVerdict {
  const end = facts.since + facts.bake;
  if (now < end) return { kind: 'wait', until: end };
  const within = `within ${Math.round(facts.bake / 1_000)} s`;
  if (facts.missing.length > 0) {
    const message = `release ${trial.release} did not serve ${facts.missing.join(', ')} ${within}`;
    return { kind: 'back', code: 'UPDATE_MODELS_FAILED', message };
  }
  if (facts.confirmed) return { kind: 'good' };
  if (!trial.wasOnline) return { kind: 'wait' };
  return { kind: 'back', code: 'UPDATE_NOT_CONNECTED', message: `release ${trial.release} had no word from the hub ${within}` };
}
