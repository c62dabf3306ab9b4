import { availableParallelism } from 'node:os';
import { atLeast, type Figure, plain } from '../figure.js';
import { DirectThreads } from './direct.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import type { ModelOfBench } from './models.js';
import { Target } from './open-target.js';
import { mainThreadTime } from './process-usage.js';
import { oipBinary } from './requests.js';

const CLIENTS = [1, 2, 4, 8, 16, 32, 64];
const SECONDS = 2;

export const throughput: FigureGroup = {
  name: 'throughput',
  what:
    'Throughput: requests a second over the Unix socket with an instance for each core, as a share of the best that direct ONNX Runtime ' +
    'reached in the same run with a thread and a session for each core; the client shares the cores.',
  measure: async (context) => [...(await shares('classifier', context, 85)), ...(await shares('vad', context))],
};

async function shares(model: ModelOfBench, { client, scale }: GroupContext, aim?: number): Promise<readonly Figure[]> {
  const target = await Target.open({ models: [model], instances: availableParallelism() });
  const direct = await DirectThreads.open(model);
  try {
    const seconds = SECONDS * scale;
    const request = oipBinary(model);
    const load = (connections: number, length: number) =>
      client.load({ address: `unix:${target.address.socket}`, request, connections, requests: 1e9, seconds: length });
    await load(4, seconds);
    let best = 0;
    const measured: { readonly clients: number; readonly perSecond: number; readonly busy: number; readonly client: number }[] = [];
    for (const clients of CLIENTS) {
      best = Math.max(best, await direct.perSecond(seconds));
      const before = await mainThreadTime(target.pid);
      const { perSecond, failures, times, clientTime } = await load(clients, seconds);
      if (failures > 0) throw new Error(`${model}, ${clients} clients: ${failures} requests failed`);
      const busy = ((await mainThreadTime(target.pid)) - before) / times.length;
      measured.push({ clients, perSecond, busy, client: clientTime });
    }
    const one = measured[0]?.perSecond ?? Number.NaN;
    const most = Math.max(...measured.map(({ perSecond }) => perSecond));
    const least = Math.min(...measured.map(({ perSecond }) => perSecond));
    return [
      plain(`${model}: direct ONNX Runtime on all cores`, best, 'requests/s'),
      ...measured.map(({ clients, perSecond }) => plain(`${model}: ${clients} clients`, (perSecond * 100) / best, '% of direct')),
      share(`${model}: the best of these`, (most * 100) / best, '% of direct', aim),
      atLeast(`${model}: the least of these / what one client gets`, least / one, 'x', 1),
      plain(
        `${model}: main thread, processor time a request, 8 clients`,
        measured.find(({ clients }) => clients === 8)?.busy ?? Number.NaN,
        'ms',
      ),
      plain(
        `${model}: client, processor time a request, 8 clients`,
        measured.find(({ clients }) => clients === 8)?.client ?? Number.NaN,
        'ms',
      ),
    ];
  } finally {
    await direct.close();
    await target.close();
  }
}

function share(name: string, value: number, unit: string, aim: number | undefined): Figure {
  return aim === undefined ? plain(name, value, unit) : atLeast(name, value, unit, aim);
}
