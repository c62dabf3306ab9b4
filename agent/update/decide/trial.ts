import type { Millis } from '#shared/kernel/time.js';
import type { Trial } from '../slots.js';

/** What is seen of the release that runs, by itself. */
interface RunFacts {
  /** Since when it runs, monotonic. */
  readonly since: Millis;
  /** How long it has to run before it can be good. */
  readonly bake: Millis;
  /** Models that were served before it was started, that are still wanted and that it does not serve. */
  readonly missing: readonly string[];
}

/** The same of a release on trial. */
export interface TrialFacts extends RunFacts {
  /** The hub said that it stored what this release said of itself. */
  readonly confirmed: boolean;
}

type TrialVerdict =
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
  return { kind: 'back', code: 'UPDATE_NOT_CONNECTED', message: `release ${trial.release} did not hear from the hub ${within}` };
}

/** Bake times after which models that are missing no longer keep a run from counting: it may fail at them, but it does not keep ending. */
const WITHOUT_MODELS = 10;

/**
 * When a release that was found good before has proven itself in this run, if nothing changes: after the bake time, serving what was
 * served before. Nothing is asked of the network, since a device may be offline for good.
 */
export function provenAt({ since, bake, missing }: RunFacts): Millis {
  return since + bake * (missing.length === 0 ? 1 : WITHOUT_MODELS);
}
