import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession } from 'onnxruntime-node';
import { z } from 'zod';
import { silenceOnnxRuntime } from '#shared/kernel/onnx-environment.js';
import { feedsOf, MODELS } from './models.js';

// One session of ONNX Runtime in a thread of its own, as an application would have it that uses it directly.

const names = Object.keys(MODELS).filter((name): name is keyof typeof MODELS => name in MODELS);
const { model } = z.object({ model: z.enum(names) }).parse(workerData);
const order = z.object({ seconds: z.number() });

silenceOnnxRuntime();
const session = await InferenceSession.create(await MODELS[model].bytes(), { intraOpNumThreads: 1, interOpNumThreads: 1 });
const feeds = feedsOf(model);
for (let run = 0; run < 20; run += 1) await session.run(feeds);
parentPort?.on('message', (message: unknown) => {
  const { seconds } = order.parse(message);
  void runFor(seconds).then((runs) => parentPort?.postMessage(runs, []));
});
parentPort?.postMessage(0, []);

async function runFor(seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000;
  let runs = 0;
  for (; performance.now() < until; runs += 1) await session.run(feeds);
  return runs;
}
