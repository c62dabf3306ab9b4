import { afterAll, beforeAll, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { MetricsWindow } from '#shared/protocol/messages.js';
import { METRICS_PER_WINDOW } from '#shared/signals/rows.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { affineModel } from '../../kit/onnx-models.js';
import { affineSample, memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';

const recorder = new MetricsRecorder();
let runtime: InferenceRuntime;
let server: InferenceServer;
let base = '';

beforeAll(async () => {
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger, device: 'd1' });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  await runtime.load(await writeServable(affineModel({ bias: 5 }), { version: 2, samples: [affineSample(2, 5)] }));
  runtime.route(modelName('affine'), versionNumber(1));
  runtime.direct(modelName('affine'), { candidate: versionNumber(2), action: 'split', share: 0.5, sticky: 'key', salt: 's' });
  server = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests: new RequestCounts(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 } },
  });
  await server.start();
  base = `http://127.0.0.1:${server.address.tcp?.port}`;
});
afterAll(async () => {
  await server.close();
  await runtime.close();
});

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${base}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const infer = (rest: object, headers: Record<string, string> = {}) =>
  post('/v2/models/affine/infer', { inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }], ...rest }, headers);
const windows = (): Map<number, MetricsWindow> => new Map(recorder.take().map((series) => [series.target.version, series.toWindow()]));

test('a key stays with one version, from the body and from the header, and feedback by key or id is counted for it', async () => {
  recorder.take();
  const versions = new Map<string, number>();
  for (let user = 0; user < 12; user++) {
    const [body, header] = [
      await infer({ id: `r${user}`, parameters: { key: `u${user}` } }),
      await infer({}, { 'x-skerry-key': `u${user}` }),
    ];
    expect(body.body['model_version']).toBe(header.body['model_version']);
    versions.set(`u${user}`, Number(body.body['model_version']));
  }
  const ofTwo = [...versions.values()].filter((version) => version === 2).length;
  expect(ofTwo).toBeGreaterThan(0);
  expect(ofTwo).toBeLessThan(12);
  for (let user = 0; user < 12; user++) {
    const said = await post('/v2/models/affine/feedback', {
      ...(user % 2 === 0 ? { id: `r${user}` } : { key: `u${user}` }),
      correct: user > 2,
      value: user,
    });
    expect(said).toEqual({ status: 200, body: { model: 'affine', version: versions.get(`u${user}`) } });
  }
  const counted = windows();
  const feedback = [counted.get(1)?.feedback, counted.get(2)?.feedback];
  expect(feedback.map((one) => one?.total)).toEqual([12 - ofTwo, ofTwo]);
  expect((feedback[0]?.wrong ?? 0) + (feedback[1]?.wrong ?? 0)).toBe(3);
  expect(QuantileSketch.decode(counted.get(2)?.metrics?.['outcome'] ?? new Uint8Array()).count).toBe(ofTwo);
  expect(counted.get(1)).toMatchObject({ role: 'serving', predictions: 2 * (12 - ofTwo) });
  expect(QuantileSketch.decode(counted.get(1)?.outputs?.['y']?.values ?? new Uint8Array()).max).toBe(9);
});

test('a version in the path needs neither', async () => {
  recorder.take();
  expect((await post('/v2/models/affine/versions/2/feedback', { correct: false })).status).toBe(200);
  expect(windows().get(2)).toMatchObject({ role: 'candidate', predictions: 0, feedback: { total: 1, wrong: 1 } });
});

test('numbers of the application are counted for the version in service, or the one named', async () => {
  recorder.take();
  for (const value of [3, 4])
    expect((await post('/skerry/v1/metrics', { name: 'fps', value })).body).toEqual({ recorded: [{ model: 'affine', version: 1 }] });
  await post('/skerry/v1/metrics', { name: 'fps', value: 9, model: 'affine', version: 2 });
  const counted = windows();
  expect([1, 2].map((version) => QuantileSketch.decode(counted.get(version)?.metrics?.['fps'] ?? new Uint8Array()).sum)).toEqual([7, 9]);
});

test.each([
  ['an answer nobody remembers', '/v2/models/affine/feedback', { id: 'never', correct: true }, 404, 'SERVE_FEEDBACK_UNKNOWN'],
  ['nothing that says which answer', '/v2/models/affine/feedback', { correct: true }, 404, 'SERVE_FEEDBACK_UNKNOWN'],
  ['nothing said of it', '/v2/models/affine/versions/1/feedback', {}, 400, 'SERVE_REQUEST'],
  ['a number that is none', '/v2/models/affine/versions/1/feedback', { value: '3' }, 400, 'SERVE_REQUEST'],
  ['a field nobody knows', '/v2/models/affine/versions/1/feedback', { correct: true, label: 'cat' }, 400, 'SERVE_REQUEST'],
  ['another version', '/v2/models/affine/versions/7/feedback', { correct: true }, 404, 'INFERENCE_VERSION_UNKNOWN'],
  ['another model', '/v2/models/none/versions/1/feedback', { correct: true }, 404, 'INFERENCE_VERSION_UNKNOWN'],
  ['a metric with a bad name', '/skerry/v1/metrics', { name: 'Frames per second', value: 1 }, 400, 'SERVE_REQUEST'],
  ['a body that is too large', '/skerry/v1/metrics', { name: 'a', value: 1, key: 'k'.repeat(20_000) }, 413, 'INPUT_TOO_LARGE'],
])('refuses %s', async (_title, path, body, status, code) => {
  expect(await post(path, body)).toMatchObject({ status, body: { code } });
});

test('refuses more names than a window holds, and takes them again in the next', async () => {
  recorder.take();
  const report = (index: number) => post('/skerry/v1/metrics', { name: `m${index}`, value: 1 });
  for (let index = 0; index < METRICS_PER_WINDOW; index++) expect((await report(index)).status).toBe(200);
  expect(await report(99)).toMatchObject({ status: 429, body: { code: 'SERVE_METRIC_LIMIT' } });
  expect((await report(0)).status).toBe(200);
  recorder.take();
  expect((await report(99)).status).toBe(200);
});
