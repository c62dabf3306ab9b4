import type { Millis } from './time.js';

/** Longest stretch of work at a time: with what else a turn of the event loop does, well below what a caller of something small notices. */
const SLICE: Millis = 4;

/**
 * Turns of the event loop for long work on the main thread.
 * INVARIANT: at most one waiter is let go in a turn, however many there are, so that everything else comes in between.
 */
class Turns {
  readonly #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#turn());
    });
  }

  #turn(): void {
    const resolve = this.#waiting.shift();
    // An immediate made by an immediate runs one turn later.
    if (this.#waiting.length > 0) setImmediate(() => this.#turn());
    resolve?.();
  }
}

/** There is one event loop in a thread, so there is one queue for it. */
const turns = new Turns();

/** Resolves in a later turn of the event loop, in line with everybody else who asked. */
export function nextTurn(): Promise<void> {
  return turns.next();
}

/** Whether work that never leaves this thread has had its share of the present turn of the event loop. */
export class TurnBudget {
  #until: Millis | undefined;

  isSpent(): boolean {
    const now = performance.now();
    if (this.#until !== undefined) return now > this.#until;
    this.#until = now + SLICE;
    setImmediate(() => (this.#until = undefined)).unref();
    return false;
  }
}

/**
 * Hands out what a generator yields, in slices: after some milliseconds of work the next piece comes in a later turn of the
 * event loop. The work is shared fairly with other work done this way.
 */
export async function* piecesInTurns<T>(work: Generator<T, void>): AsyncGenerator<T, void> {
  for (;;) {
    await turns.next();
    const until = performance.now() + SLICE;
    do {
      const step = work.next();
      if (step.done === true) return;
      yield step.value;
    } while (performance.now() < until);
  }
}

/** Runs work that yields wherever it may be interrupted, in slices, and gives its result. */
export async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    await turns.next();
    const until = performance.now() + SLICE;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < until);
  }
}

/** Runs such work in one go, where it is known to be small or nobody else waits. */
export function atOnce<T>(work: Generator<unknown, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
