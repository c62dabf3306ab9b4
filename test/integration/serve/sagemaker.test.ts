import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDialects } from '#agent/serve/dialects.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import * as models from '../../kit/onnx-models.js';

let one: ModelServer;
let several: ModelServer;

beforeAll(async () => {
  const dialects = await openDialects(['oip', 'sagemaker']);
  one = await startModelServer({ dialects, models: { affine: models.affineModel() } });
  several = await startModelServer({
    dialects,
    models: {},
    folder: {
      files: { 'affine/1/model.onnx': models.affineModel(), 'text/1/model.onnx': models.textModel(), 'broken/1/model.onnx': 'no model' },
      load: ['text'],
    },
  });
});
afterAll(() => Promise.all([one.close(), several.close()]));

const INFER = { inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] };

async function call(
  server: ModelServer,
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer> | object,
  headers: Readonly<Record<string, string>> = {},
) {
  const sent = body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) };
  return fetch(`${server.base}${path}`, { method, headers: { 'content-type': 'application/json', ...headers }, ...sent });
}

describe('one model', () => {
  test('it answers', async () => {
    const response = await call(one, 'GET', '/ping');
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  test.each([
    ['/invocations', {}],
    ['/invocations?model_name=affine', { 'content-type': 'application/json' }],
    ['/invocations', { 'content-type': 'Application/JSON; charset=utf-8', 'x-amzn-sagemaker-target-model': 'affine' }],
  ])('%s %j: JSON of the Open Inference Protocol', async (path, headers) => {
    const response = await call(one, 'POST', path, INFER, headers);
    expect(await response.json()).toMatchObject({ model_name: 'affine', outputs: [{ name: 'y', data: [3, 5, 7, 9] }] });
  });

  test('binary tensors, in the form of their content type', async () => {
    const tensors = { inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } }] };
    const head = JSON.stringify({ ...tensors, parameters: { binary_data_output: true } });
    const body = Buffer.concat([Buffer.from(head), Buffer.from(new Float32Array([1, 2, 3, 4]).buffer)]);
    const type = `application/vnd.sagemaker-triton.binary+json;json-header-size=${head.length}`;
    const response = await call(one, 'POST', '/invocations', body, { 'content-type': type });
    const size = /^application\/vnd.sagemaker-triton.binary\+json;json-header-size=(\d+)$/.exec(
      response.headers.get('content-type') ?? '',
    )?.[1];
    const answer = await response.arrayBuffer();
    expect([...new Float32Array(answer.slice(Number(size)))]).toEqual([3, 5, 7, 9]);
    const octets = { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.length) };
    expect((await call(one, 'POST', '/invocations', body, octets)).headers.get('inference-header-content-length')).toBe(size);
  });

  test('CSV without names', async () => {
    const response = await call(one, 'POST', '/invocations', '1,2,3,4\n5,6,7,8\n', { 'content-type': 'text/csv' });
    expect(await response.json()).toEqual({
      predictions: [
        [3, 5, 7, 9],
        [11, 13, 15, 17],
      ],
    });
  });

  test.each([
    ['/invocations', 'text/html', 415],
    ['/invocations', 'text/csv', 400],
    ['/invocations?model_name=other', 'application/json', 404],
    ['/models/other/invoke', 'application/json', 404],
  ])('%s %s: %i', async (path, type, status) => {
    const response = await call(one, 'POST', path, 'a,b', { 'content-type': type });
    expect([response.status, Object.keys((await response.json()) as object)]).toEqual([status, ['error', 'code']]);
  });

  test('nobody loads models on a device of a fleet', async () => {
    expect(await call(one, 'POST', '/models', { model_name: 'more', url: '/opt/ml/models/more/model' })).toMatchObject({ status: 405 });
    expect(await call(one, 'DELETE', '/models/affine')).toMatchObject({ status: 405 });
  });
});

test('several models are loaded, invoked, listed and unloaded', async () => {
  const affine = { modelName: 'affine', modelUrl: '/opt/ml/models/affine/model' };
  const load = { model_name: 'affine', url: affine.modelUrl };
  expect(await call(several, 'GET', '/ping')).toMatchObject({ status: 200 });
  expect(await call(several, 'GET', '/models/affine')).toMatchObject({ status: 404 });
  expect(await call(several, 'DELETE', '/models/affine')).toMatchObject({ status: 404 });
  expect(await (await call(several, 'POST', '/models', load)).json()).toEqual(affine);
  expect(await call(several, 'POST', '/models', load)).toMatchObject({ status: 409 });
  expect(await (await call(several, 'GET', '/models/affine')).json()).toEqual(affine);
  const { models: listed } = (await (await call(several, 'GET', '/models')).json()) as {
    readonly models: readonly { readonly modelName: string }[];
  };
  expect(listed.map(({ modelName }) => modelName).sort()).toEqual(['affine', 'text']);
  expect(await (await call(several, 'POST', '/models/affine/invoke', INFER)).json()).toMatchObject({ model_name: 'affine' });
  expect(await call(several, 'POST', '/invocations', INFER)).toMatchObject({ status: 400 });
  expect(await call(several, 'DELETE', '/models/affine')).toMatchObject({ status: 200 });
  expect(await call(several, 'POST', '/models/affine/invoke', INFER)).toMatchObject({ status: 404 });
});

test.each([
  [{ model_name: 'nothing', url: '/opt/ml/models/nothing/model' }, 404],
  [{ model_name: 'affine', url: 's3://bucket/other.tar.gz' }, 400],
  [{ url: '/opt/ml/models/affine/model' }, 400],
  [[], 400],
  ['{', 400],
])('loading %j: %i', async (body, status) => {
  expect(await call(several, 'POST', '/models', body)).toMatchObject({ status });
});
