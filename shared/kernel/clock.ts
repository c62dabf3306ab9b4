import { SkerryError } from './errors.js';
import type { EpochMillis, Millis } from './time.js';

/** Time as everything in the project sees it; tests inject a virtual one (`test/kit/virtual-clock.ts`). */
export interface Clock {
  /** Wall clock; may jump either way. */
  now(): EpochMillis;
  /** Never goes back; only differences mean something. */
  monotonic(): Millis;
  /** Calls `fn` once after `delay`; the returned function cancels it. Does not keep the process alive. */
  schedule(delay: Millis, fn: () => void): () => void;
}

/** The timers of the platform, as `scheduleOn` needs them. */
export interface RawTimers {
  monotonic(): Millis;
  /** Calls `fn` once after `delay`, which must be at most `LONGEST_TIMER`; the returned function cancels it. */
  start(delay: Millis, fn: () => void): () => void;
}

/** The longest delay that a timer of Node can wait. A longer one fires after 1 ms (Node's documentation of `setTimeout`). */
export const LONGEST_TIMER: Millis = 2 ** 31 - 1;

/** Calls `fn` once after `delay`, however long that is; an infinite delay never ends. The returned function cancels it. */
export function scheduleOn(timers: RawTimers, delay: Millis, fn: () => void): () => void {
  if (!(delay > LONGEST_TIMER)) return timers.start(delay, fn);
  const due = timers.monotonic() + delay;
  let cancel: () => void = () => undefined;
  const wait = (): void => {
    const left = due - timers.monotonic();
    if (left > LONGEST_TIMER) cancel = timers.start(LONGEST_TIMER, wait);
    else cancel = timers.start(left, fn);
  };
  wait();
  return () => cancel();
}

/** A clock of the system; `keepsAlive` says whether its timers keep the process from ending. */
function clockOfSystem(keepsAlive: boolean): Clock {
  const timers: RawTimers = {
    monotonic: () => performance.now(),
    start(delay, fn) {
      const timer = setTimeout(fn, delay);
      if (!keepsAlive) timer.unref();
      return () => clearTimeout(timer);
    },
  };
  return {
    now: () => Date.now(),
    monotonic: () => timers.monotonic(),
    schedule: (delay, fn) => scheduleOn(timers, delay, fn),
  };
}

export const systemClock: Clock = clockOfSystem(false);

/** The same for a command that waits: its timers keep the process alive. */
export const foregroundClock: Clock = clockOfSystem(true);

/** Aborts after `delay`, with `TIMEOUT` as its reason; call `cancel` once it is no longer needed. */
export function timeoutSignal(clock: Clock, delay: Millis): { readonly signal: AbortSignal; readonly cancel: () => void } {
  const controller = new AbortController();
  const cancel = clock.schedule(delay, () => controller.abort(new SkerryError('TIMEOUT', `no answer within ${delay} ms`)));
  return { signal: controller.signal, cancel };
}

/** Resolves after `delay`; rejects with `ABORTED` as soon as `signal` aborts. */
export function sleep(clock: Clock, delay: Millis, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new SkerryError('ABORTED', 'wait cancelled'));
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(new SkerryError('ABORTED', 'wait cancelled'));
    };
    const cancel = clock.schedule(delay, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
