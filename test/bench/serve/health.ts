import { atMost, type Figure, plain } from '../figure.js';
import { slowModel } from '../../kit/onnx-models.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import { Target } from './open-target.js';
import { quantile } from './quantile.js';
import { repeatWhile } from './repeat-while.js';
import { got } from './requests.js';

/** Many small layers take long to load; many rows then take long to run. */
const SLOW = { width: 32, layers: 20_000 };
const ROWS = 2048;

export const health: FigureGroup = {
  name: 'health',
  what: 'Health: answers to one client that asks again and again while a model of seconds loads and then runs.',
  measure: measureHealth,
};

async function measureHealth({ client }: GroupContext): Promise<readonly Figure[]> {
  const target = await Target.open({ models: ['vad'], files: { 'slow/1/model.onnx': slowModel(SLOW) } });
  try {
    const address = `tcp:${target.address.http}`;
    const began = performance.now();
    const times: number[] = [];
    // In short pieces, since nobody knows how long the work takes.
    const { loading, running } = await repeatWhile(loadAndRun(target), async () => {
      const told = await client.load({ address, request: got('/v2/health/live'), connections: 1, requests: 1e9, seconds: 0.25 });
      if (told.failures > 0) throw new Error(`health: ${told.failures} requests failed`);
      times.push(...told.times);
    });
    return [
      atMost('health while a model loads and runs, p99', quantile(times, 0.99), 'ms', 20),
      plain('the same, slowest', quantile(times, 1), 'ms'),
      plain('the same, asked', (times.length / (performance.now() - began)) * 1000, 'times/s'),
      plain('the model: loading', loading, 's'),
      plain('the model: running', running, 's'),
    ];
  } finally {
    await target.close();
  }
}

/** Loads the slow model anew, and has it run once; seconds. */
async function loadAndRun(target: Target): Promise<{ readonly loading: number; readonly running: number }> {
  await target.post('/v2/repository/models/slow/unload');
  const began = performance.now();
  await target.post('/v2/repository/models/slow/load');
  const loaded = performance.now();
  const x = { name: 'x', datatype: 'FP32', shape: [ROWS, SLOW.width], data: Array.from({ length: ROWS * SLOW.width }, () => 0.5) };
  await target.post('/v2/models/slow/infer', { inputs: [x] });
  return { loading: (loaded - began) / 1000, running: (performance.now() - loaded) / 1000 };
}
