import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { InferenceSession } from 'onnxruntime-node';
import { z } from 'zod';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { feedsOf, MODELS, type ModelOfBench } from './models.js';

/** Times of single runs of ONNX Runtime in this thread, in milliseconds. */
export async function directTimes(model: ModelOfBench): Promise<(runs: number) => Promise<readonly number[]>> {
  silenceOnnxRuntime();
  const session = await InferenceSession.create(await MODELS[model].bytes(), { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const feeds = feedsOf(model);
  for (let run = 0; run < 20; run += 1) await session.run(feeds);
  return async (runs) => {
    const times: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      const began = performance.now();
      await session.run(feeds);
      times.push(performance.now() - began);
    }
    return times;
  };
}

const count = z.tuple([z.number()]);

/** ONNX Runtime on all cores: a thread for each, each with a session of one thread. */
export class DirectThreads {
  readonly #workers: readonly Worker[];

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  static async open(model: ModelOfBench, threads = availableParallelism()): Promise<DirectThreads> {
    const file = new URL('./direct-worker.js', import.meta.url);
    const workers = Array.from({ length: threads }, () => new Worker(file, { workerData: { model } }));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    return new DirectThreads(workers);
  }

  /** Runs a second of all threads together. */
  async perSecond(seconds: number): Promise<number> {
    const told = this.#workers.map(async (worker) => {
      const answer = once(worker, 'message');
      worker.postMessage({ seconds }, []);
      return count.parse(await answer)[0];
    });
    const runs = await Promise.all(told);
    return runs.reduce((sum, one) => sum + one, 0) / seconds;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
