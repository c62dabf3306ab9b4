import { fullJitter } from '#shared/kernel/backoff.js';
import { type Clock, sleep, timeoutSignal } from '#shared/kernel/clock.js';
import { formatDuration } from '#shared/kernel/duration.js';
import { asSkerryError, hasCode, SkerryError } from '#shared/kernel/errors.js';
import { type Millis, seconds } from '#shared/kernel/time.js';
import type { Bounds } from './calls.js';
import { CallFailure, type Effect } from './call-failure.js';

export interface AttemptDeps {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface AttemptOptions {
  /** Further attempts after the first. */
  readonly retries: number;
  /** Running twice does no harm. */
  readonly repeatable: boolean;
  /** Time for all attempts; may be infinite. */
  readonly timeout: Millis;
  /** How much longer the answer is waited for: the server's own error says more than ours. */
  readonly margin: Millis;
  readonly signal: AbortSignal | undefined;
}

const DELAYS = { base: 100, max: seconds(2) };

/** What may be sent again: whatever the server did not begin, and after a lost idle connection what does no harm twice. */
function mayRepeat(effect: Effect, repeatable: boolean): boolean {
  return effect === 'unsent' || effect === 'put off' || (effect === 'idle lost' && repeatable);
}

/**
 * Does a call, again where that is safe, within its time. Errors: the server's, `TIMEOUT`, `ABORTED`, and those of `Link.call`.
 */
export async function attempts<T>(once: (bounds: Bounds) => Promise<T>, options: AttemptOptions, deps: AttemptDeps): Promise<T> {
  const { clock, random } = deps;
  const due = clock.monotonic() + options.timeout;
  const limit = timeoutSignal(clock, options.timeout + options.margin);
  const signal = options.signal === undefined ? limit.signal : AbortSignal.any([options.signal, limit.signal]);
  try {
    for (let attempt = 0; ; attempt++) {
      const failure = await tryOnce(once, { signal, left: Math.max(1, due - clock.monotonic()) });
      if (failure.kind === 'done') return failure.answer;
      if (signal.aborted) throw reasonOf(signal, options);
      const { error, effect, retryAfter } = failure.failure;
      if (attempt >= options.retries || !mayRepeat(effect, options.repeatable)) throw error;
      const delay = retryAfter + fullJitter(attempt, { ...DELAYS, random });
      if (clock.monotonic() + delay >= due) throw error;
      await sleep(clock, delay, signal).catch(() => {
        throw reasonOf(signal, options);
      });
    }
  } finally {
    limit.cancel();
  }
}

type Outcome<T> = { readonly kind: 'done'; readonly answer: T } | { readonly kind: 'failed'; readonly failure: CallFailure };

async function tryOnce<T>(once: (bounds: Bounds) => Promise<T>, bounds: Bounds): Promise<Outcome<T>> {
  if (bounds.signal.aborted) return { kind: 'failed', failure: new CallFailure(new SkerryError('ABORTED', 'cancelled'), 'final') };
  try {
    return { kind: 'done', answer: await once(bounds) };
  } catch (cause) {
    return { kind: 'failed', failure: cause instanceof CallFailure ? cause : new CallFailure(asSkerryError(cause), 'final') };
  }
}

/** Our own limit, or the caller's wish. */
function reasonOf(signal: AbortSignal, { timeout, margin }: AttemptOptions): SkerryError {
  const reason: unknown = signal.reason;
  if (!hasCode(reason, 'TIMEOUT')) return new SkerryError('ABORTED', 'the call was cancelled', { cause: reason });
  return new SkerryError('TIMEOUT', `the server gave no answer within ${formatDuration(timeout + margin)}`, { cause: reason });
}
