import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { DEFAULT_SERVE_SETTINGS } from '#agent/serve/config.js';
import type { Dialect } from '#agent/serve/dialect.js';
import { openDialects } from '#agent/serve/dialects.js';
import { Router } from '#agent/serve/http/router.js';
import { namedModel } from '#agent/serve/named.js';
import { createInferenceServer, httpApis, type InferenceServer } from '#agent/serve/server.js';
import type { MetricsWindow } from '#shared/protocol/messages.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { affineModel, loopModel } from '../../kit/onnx-models.js';
import { affineSample, fp32, memoryKeyValue, modelName, numbersOf, versionNumber, writeServable } from '../../kit/servables.js';

/** A dialect as small as one can be: four numbers as text, four numbers back, errors as one line. */
const PLAIN: Dialect = {
  name: 'plain',
  http: ({ predict, models }) => ({
    routes: [
      {
        method: 'POST',
        path: '/plain/:model',
        call: 'inference',
        handle: async (exchange) => {
          const { model, version } = namedModel(exchange.params);
          const { bytes } = await exchange.body();
          const [id, numbers = '', timeout] = Buffer.from(bytes).toString().split(';');
          const values = numbers.split(',').map(Number);
          const reply = await predict({
            model,
            version,
            id,
            inputs: { x: fp32([1, values.length], values) },
            timeout: timeout === undefined ? undefined : Number(timeout),
            recipient: exchange,
          });
          return { status: 200, headers: { 'x-version': String(reply.target.version) }, body: [numbersOf(reply.outputs['y']).join(',')] };
        },
      },
      {
        method: 'GET',
        path: '/plain/:model',
        call: 'metadata',
        handle: ({ params }) => ({ status: 200, headers: {}, body: [models.find(namedModel(params).model).state] }),
      },
    ],
    error: (error) => ({ status: error.http, headers: {}, body: [`${error.status} ${error.code}`] }),
  }),
};

const recorder = new MetricsRecorder();
const requests = new RequestCounts();
let runtime: InferenceRuntime;
let server: InferenceServer;
let base = '';

beforeAll(async () => {
  runtime = createInferenceRuntime({
    store: memoryKeyValue(),
    recorder,
    logger: silentLogger,
    device: 'd1',
    settings: { queueCapacity: 1 },
  });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  await runtime.load(await writeServable(affineModel({ bias: 5 }), { version: 2, samples: [affineSample(2, 5)] }));
  runtime.route(modelName('affine'), versionNumber(1));
  server = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests,
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 }, bodyLimit: 1000 },
    dialects: [...(await openDialects()), PLAIN],
  });
  await server.start();
  base = `http://127.0.0.1:${server.address.tcp?.port}`;
});
afterAll(async () => {
  await server.close();
  await runtime.close();
});

async function plain(model: string, body: string) {
  const response = await fetch(`${base}/plain/${model}`, { method: 'POST', body });
  return [response.status, await response.text()] as const;
}
const windows = (): Map<number, MetricsWindow> => new Map(recorder.take().map((series) => [series.target.version, series.toWindow()]));
const counted = (): Record<string, number> =>
  Object.fromEntries(requests.totals().map(({ api, call, status, count }) => [`${api} ${call} ${status}`, count]));

describe('a dialect is a row of the table', () => {
  test('it predicts, and what it did is counted for the version that answered', async () => {
    recorder.take();
    const before = counted()['plain inference OK'] ?? 0;
    expect(await plain('affine', 'r1;1,2,3,4')).toEqual([200, '3,5,7,9']);
    expect(await (await fetch(`${base}/plain/affine`)).text()).toBe('available');
    expect(windows().get(1)).toMatchObject({ role: 'serving', predictions: 1, errors: {} });
    expect(counted()).toMatchObject({ 'plain inference OK': before + 1, 'plain metadata OK': 1 });
  });

  test('feedback finds its answers', async () => {
    runtime.direct(modelName('affine'), { candidate: versionNumber(2), action: 'split', share: 1, sticky: 'device', salt: 's' });
    expect(await plain('affine', 'r2;1,2,3,4')).toEqual([200, '7,9,11,13']);
    runtime.direct(modelName('affine'), undefined);
    recorder.take();
    const body = JSON.stringify({ id: 'r2', correct: false });
    const said = await fetch(`${base}/v2/models/affine/feedback`, { method: 'POST', body });
    expect(await said.json()).toEqual({ model: 'affine', version: 2 });
    expect(windows().get(2)).toMatchObject({ role: 'candidate', feedback: { total: 1, wrong: 1 } });
  });

  test('errors are typed, in its own form, and counted by status', async () => {
    recorder.take();
    expect(await plain('nothing', 'r;1,2,3,4')).toEqual([404, 'NOT_FOUND INFERENCE_MODEL_UNKNOWN']);
    expect(await plain('affine', 'r;1,2,3')).toEqual([400, 'INVALID_ARGUMENT TENSOR_SHAPE']);
    const unknown = await fetch(`${base}/plain`);
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: 'SERVE_PATH_UNKNOWN' }]);
    expect(windows().get(1)).toMatchObject({ predictions: 1, errors: { TENSOR_SHAPE: 1 } });
    expect(counted()).toMatchObject({ 'plain inference NOT_FOUND': 1, 'plain inference INVALID_ARGUMENT': 1, 'none unknown NOT_FOUND': 1 });
  });

  test('limits hold: of the body, of the queue and of the time', async () => {
    expect(await plain('affine', 'r;'.padEnd(2000, '1'))).toEqual([413, 'RESOURCE_EXHAUSTED INPUT_TOO_LARGE']);
    await runtime.load(await writeServable(loopModel({ iterations: 300_000 }), { model: 'slow', samples: [] }));
    runtime.route(modelName('slow'), versionNumber(1));
    expect(await plain('slow', 'r;1,2,3,4;1')).toEqual([504, 'DEADLINE_EXCEEDED INFERENCE_TIMEOUT_SHORT']);
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((id) => plain('slow', `${id};1,2,3,4`)));
    expect(answers.map(([status]) => status)).toContain(503);
    expect(answers.find(([status]) => status === 503)).toEqual([503, 'UNAVAILABLE INFERENCE_QUEUE_FULL']);
  });
});

test('every route of every API can be reached: no two take one path', async () => {
  const parts = {
    dataPlane: runtime,
    feedback: recorder,
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '',
    dialects: await openDialects(),
  };
  const routes = httpApis(parts, DEFAULT_SERVE_SETTINGS).flatMap((api) => api.routes);
  const router = new Router(routes);
  for (const route of routes) {
    const match = router.match(route.method, route.path.replaceAll(/(?<=\/):/g, ''));
    expect(match.kind === 'found' && match.route, route.path).toBe(route);
  }
});
