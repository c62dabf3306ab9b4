/**
 * Runs tasks one after the other, in the order in which they came.
 * INVARIANTS: never two tasks at once; a task that rejects does not keep the next one from running.
 */
export class ExclusiveQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as the task does. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves once every task that was queued by now has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
