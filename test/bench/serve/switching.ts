import { utimes } from 'node:fs/promises';
import path from 'node:path';
import { atMost, type Figure, plain } from '../figure.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import type { LoadClient } from './load.js';
import type { ModelOfBench } from './models.js';
import { Target } from './open-target.js';
import { quantile } from './quantile.js';
import { repeatWhile } from './repeat-while.js';
import { oipBinary } from './requests.js';

const SWITCHES = 1000;

export const switches: FigureGroup = {
  name: 'switches',
  what: 'Switches: a model is loaded anew and put in place of itself again and again while four clients ask it.',
  measure: async ({ client, scale }: GroupContext) => {
    const target = await Target.open({ models: ['vad'] });
    try {
      return await measureSwitches(target, client, Math.ceil(SWITCHES * scale));
    } finally {
      await target.close();
    }
  },
};

async function measureSwitches(target: Target, client: LoadClient, count: number): Promise<readonly Figure[]> {
  const { times, failures, seconds } = await underLoad(target, client, () => switchTimes(target, 'vad', count));
  return [
    atMost(`${count} switches under load, failed requests`, failures, '', 0),
    plain('the same, slowest request', quantile(times, 1), 'ms'),
    plain('the same, p99', quantile(times, 0.99), 'ms'),
    plain('the same, requests', times.length, ''),
    plain('the same, a switch', (seconds / count) * 1000, 'ms'),
  ];
}

/** Loads a model anew so often: its file looks changed each time. */
export async function switchTimes(target: Target, model: ModelOfBench, count: number): Promise<void> {
  const file = path.join(target.models, model, '1', 'model.onnx');
  for (let at = 1; at <= count; at += 1) {
    const when = new Date(1_700_000_000_000 + at * 1000);
    await utimes(file, when, when);
    await target.post(`/v2/repository/models/${model}/load`);
  }
}

/** What four clients of a model see while something else goes on. */
async function underLoad(
  target: Target,
  client: LoadClient,
  work: () => Promise<void>,
): Promise<{ readonly times: readonly number[]; readonly failures: number; readonly seconds: number }> {
  const began = performance.now();
  const times: number[] = [];
  let failures = 0;
  const address = `unix:${target.address.socket}`;
  const request = oipBinary('vad');
  await repeatWhile(work(), async () => {
    const told = await client.load({ address, request, connections: 4, requests: 1e9, seconds: 1 });
    for (const time of told.times) times.push(time);
    failures += told.failures;
  });
  const seconds = (performance.now() - began) / 1000;
  return { times, failures, seconds };
}
