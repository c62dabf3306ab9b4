/**
 * Does one thing at a time, again as long as there is something to do.
 * INVARIANTS: never two runs of `work` at once; a kick during a run is not lost; after `close` resolved nothing runs.
 */
export class SerialWorker {
  readonly #work: (signal: AbortSignal) => Promise<boolean>;
  #controller = new AbortController();
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;

  /** `work` does one step and resolves to whether there was one; it must not reject. */
  constructor(work: (signal: AbortSignal) => Promise<boolean>) {
    this.#work = work;
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  kick(): void {
    if (this.#closed) return;
    if (this.#running === undefined) this.#running = this.#run();
    else this.#again = true;
  }

  /** Cancels the step in progress; the next one is planned from what is true then. */
  abort(): void {
    this.#controller.abort();
  }

  /** Resolves when the run in progress, if any, has ended. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // So that #running is set before the first step.
    let more = true;
    while (!this.#closed && (more || this.#again)) {
      this.#again = false;
      this.#controller = new AbortController();
      more = await this.#work(this.#controller.signal);
    }
    this.#running = undefined;
  }
}

/** Resolves once none of the workers does anything; a worker that starts meanwhile is waited for too. */
export async function allIdle(workers: () => readonly Pick<SerialWorker, 'busy' | 'settled'>[]): Promise<void> {
  while (workers().some((worker) => worker.busy)) await Promise.all(workers().map((worker) => worker.settled()));
}
