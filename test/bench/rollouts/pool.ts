import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Outcome } from './run.js';
import type { Task } from './task.js';

/** Rollouts handed to a thread at a time. */
const SHARE = 20;

interface Job {
  readonly task: Task;
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (cause: unknown) => void;
}

/** Runs simulated rollouts on every core; the same seeds give the same outcomes on any number of them. */
export class Pool {
  readonly #workers: Worker[];
  readonly #idle: Worker[];
  readonly #jobs: Job[] = [];

  constructor(threads = availableParallelism()) {
    this.#workers = Array.from({ length: threads }, () => new Worker(new URL('./worker.js', import.meta.url)));
    this.#idle = [...this.#workers];
  }

  async run(task: Task): Promise<Outcome[]> {
    const parts: Promise<Outcome[]>[] = [];
    for (let done = 0; done < task.runs; done += SHARE) {
      const part = { ...task, from: task.from + done, runs: Math.min(SHARE, task.runs - done) };
      parts.push(new Promise((resolve, reject) => this.#jobs.push({ task: part, resolve, reject })));
    }
    this.#next();
    return (await Promise.all(parts)).flat();
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #next(): void {
    for (let worker = this.#idle.pop(); worker !== undefined; worker = this.#idle.pop()) {
      const job = this.#jobs.shift();
      if (job === undefined) {
        this.#idle.push(worker);
        return;
      }
      this.#give(worker, job);
    }
  }

  #give(worker: Worker, { task, resolve, reject }: Job): void {
    const done = (outcomes: Outcome[]): void => {
      worker.off('error', reject);
      resolve(outcomes);
      this.#idle.push(worker);
      this.#next();
    };
    worker.once('message', done);
    worker.once('error', reject);
    worker.postMessage(task, []);
  }
}
