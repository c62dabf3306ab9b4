import type { Figure } from '../figure.js';
import { atMost, plain } from '../figure.js';
import { directTimes } from './direct.js';
import type { FigureGroup, GroupContext } from './figure-group.js';
import { Target } from './open-target.js';
import type { ModelOfBench } from './models.js';
import { quantile } from './quantile.js';
import { type Way, WAYS } from './ways.js';

const ROUNDS = 8;
const PER_ROUND = 500;

export const latency: FigureGroup = {
  name: 'latency',
  what: 'Added: the time of one request at a time, less that of the same prediction directly in ONNX Runtime at the same quantile.',
  measure: (context) => added(WAYS, context),
};

/** What each way adds to a prediction at p50 and p99. */
export async function added(ways: readonly Way[], { client, scale }: GroupContext): Promise<readonly Figure[]> {
  const models = [...new Set(ways.map(({ model }) => model))];
  const target = await Target.open({ models });
  try {
    const taken = ways.filter((way) => client.takes(way.request()));
    const direct = await Promise.all(models.map(async (model) => ({ model, run: await directTimes(model), times: [] as number[] })));
    const measured = taken.map((way) => ({ way, request: way.request(), times: [] as number[] }));
    // In turns, so that a slow moment of the machine slows all. The first round only warms up.
    for (let round = 0; round <= ROUNDS; round += 1) {
      const requests = Math.ceil(PER_ROUND * scale);
      for (const one of direct) keep(one.times, await one.run(requests), round);
      for (const { way, request, times } of measured) {
        const { times: told, failures } = await client.load({
          address: way.address(target.address),
          request,
          connections: 1,
          requests,
          seconds: 60,
        });
        if (failures > 0) throw new Error(`${way.model}, ${way.name}: ${failures} requests failed`);
        keep(times, told, round);
      }
    }
    const base = new Map(direct.map(({ model, times }) => [model, times]));
    return [...direct.flatMap(({ model, times }) => directFigures(model, times)), ...measured.flatMap((one) => figuresOf(one, base))];
  } finally {
    await target.close();
  }
}

function keep(into: number[], times: readonly number[], round: number): void {
  if (round > 0) for (const time of times) into.push(time);
}

function directFigures(model: ModelOfBench, times: readonly number[]): readonly Figure[] {
  return [
    plain(`${model}: direct ONNX Runtime, p50`, quantile(times, 0.5), 'ms'),
    plain(`${model}: direct ONNX Runtime, p99`, quantile(times, 0.99), 'ms'),
  ];
}

function figuresOf(
  { way, times }: { readonly way: Way; readonly times: readonly number[] },
  base: ReadonlyMap<ModelOfBench, readonly number[]>,
): readonly Figure[] {
  const name = `${way.model}: ${way.name}`;
  const direct = base.get(way.model) ?? [];
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(times, share) - quantile(direct, share));
  if (p50 === undefined || p99 === undefined) throw new Error('no quantiles');
  const { aim } = way;
  return aim === undefined
    ? [plain(`${name}, added p50`, p50, 'ms'), plain(`${name}, added p99`, p99, 'ms')]
    : [atMost(`${name}, added p50`, p50, 'ms', aim.p50), atMost(`${name}, added p99`, p99, 'ms', aim.p99)];
}
