import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KSERVE_V1 } from '#agent/serve/dialects/kserve-v1/kserve-v1.js';
import { OIP } from '#agent/serve/dialects/oip/oip.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import * as models from '../../kit/onnx-models.js';

let server: ModelServer;

beforeAll(async () => {
  server = await startModelServer({
    dialects: [OIP, KSERVE_V1],
    models: {
      affine: models.affineModel(),
      addsub: models.addSubModel(),
      text: models.textModel(),
      token: models.tokenModel({ offset: 0 }),
    },
    config: { jsonElements: 1_000 },
  });
});
afterAll(() => server.close());

type Headers = Readonly<Record<string, string>>;

async function send(path: string, body: string | object, headers: Headers = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(`${server.base}/v1/models/${path}`, { method: 'POST', body: text, headers });
}

async function predict(model: string, body: string | object, headers?: Headers): Promise<readonly [number, unknown]> {
  const response = await send(`${model}:predict`, body, headers);
  return [response.status, await response.json()];
}

const ROWS = [[0, 0, 0, 0.5]];
const PREDICTIONS = { predictions: [[1, 1, 1, 2]] };

describe('predict', () => {
  test.each([
    ['rows', 'affine', { instances: ROWS }, PREDICTIONS],
    ['inputs', 'affine', { inputs: ROWS, signature_name: 'any', more: 1 }, PREDICTIONS],
    ['words and truth', 'affine', { instances: [['1', true, false, ' 2']] }, { predictions: [[3, 3, 1, 5]] }],
    ['no value', 'affine', { instances: [[null, 0, 0, 0]] }, { predictions: [[null, 1, 1, 1]] }],
    [
      'rows by name',
      'addsub',
      { instances: [{ a: [1, 2, 3, 4], b: [1, 1, 1, 1] }] },
      { predictions: [{ sum: [2, 3, 4, 5], difference: [0, 1, 2, 3] }] },
    ],
    ['strings', 'text', { instances: ['a', '', 'ö'] }, { predictions: ['a', '', 'ö'] }],
  ])('%s', async (_form, model, body, answer) => {
    expect(await predict(model, body)).toEqual([200, answer]);
  });

  test('long whole numbers', async () => {
    const response = await send('token:predict', '{"instances":[9223372036854775807,-9223372036854775808]}');
    expect(await response.text()).toBe('{"predictions":[9223372036854775807,-9223372036854775808]}');
  });

  test.each([
    ['affine', '', 400],
    ['affine', '{"instances":', 400],
    ['affine', '[[1,2,3,4]]', 400],
    ['affine', { rows: ROWS }, 400],
    ['affine', { instances: null }, 400],
    ['affine', { instances: 'abcd' }, 400],
    ['affine', { instances: [] }, 400],
    ['affine', { instances: [[1, 2, 3, 4], [1]] }, 400],
    ['affine', { instances: [[1, 2, 3, 4, 5]] }, 400],
    ['affine', { instances: [1, 2, 3, 4] }, 400],
    ['affine', { instances: [['a', 2, 3, 4]] }, 400],
    ['addsub', { instances: [{ a: [1, 2, 3, 4] }] }, 400],
    ['token', { instances: [1.5] }, 400],
    ['nothing', { instances: ROWS }, 404],
  ])('%s refuses %j', async (model, body, status) => {
    const [found, answer] = await predict(model, body);
    expect([found, Object.keys(answer ?? {})]).toEqual([status, ['error']]);
  });

  test('explaining is refused by name', async () => {
    const response = await send('affine:explain', { instances: ROWS });
    expect([response.status, await response.json()]).toEqual([501, { error: 'there are no explainers here: a model predicts' }]);
  });
});

describe('models', () => {
  test.each([
    ['', [200, { models: ['affine', 'addsub', 'text', 'token'] }]],
    ['/affine', [200, { name: 'affine', ready: true }]],
    ['/affine/', [200, { name: 'affine', ready: true }]],
    ['/nothing', [404, { error: 'no model "nothing" is loaded on this device' }]],
    ['/affine:predict', [404, { error: 'no model "affine:predict" is loaded on this device' }]],
  ])('GET /v1/models%s', async (path, answer) => {
    const response = await fetch(`${server.base}/v1/models${path}`);
    expect([response.status, await response.json()]).toEqual(answer);
  });

  test('the root says that the server is alive', async () => {
    const response = await fetch(`${server.base}/`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'alive' }]);
  });
});

describe('CloudEvents', () => {
  const ATTRIBUTES = { specversion: '1.0', id: 'e1', source: 'https://example.test/events', type: 'test.event' };
  const binary = (attributes: Headers): Headers =>
    Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));
  const RESPONSE = { specversion: '1.0', source: 'io.kserve.inference.affine', type: 'io.kserve.inference.response' };
  const STRUCTURED = { 'content-type': 'application/cloudevents+json; charset=UTF-8' };

  test('binary: attributes are headers', async () => {
    const response = await send('affine:predict', { instances: ROWS }, binary(ATTRIBUTES));
    expect([response.status, await response.json()]).toEqual([200, PREDICTIONS]);
    expect(Object.fromEntries(response.headers)).toMatchObject({ ...binary(RESPONSE), 'content-type': 'application/json' });
    expect(response.headers.get('ce-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get('ce-time')).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test('structured: attributes and data are in the body', async () => {
    const response = await send('affine:predict', { ...ATTRIBUTES, time: '2024-01-02T03:04:05Z', data: { instances: ROWS } }, STRUCTURED);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/cloudevents+json']);
    const { id, time, ...event } = (await response.json()) as Readonly<Record<string, unknown>>;
    expect(event).toEqual({ ...RESPONSE, data: PREDICTIONS });
    expect([typeof id, typeof time]).toEqual(['string', 'string']);
  });

  test('an event whose content type does not say so is answered plainly', async () => {
    expect(await predict('affine', { ...ATTRIBUTES, data: { instances: ROWS } })).toEqual([200, PREDICTIONS]);
  });

  test('without all attributes it is a request like others', async () => {
    const { id: _id, ...rest } = ATTRIBUTES;
    const response = await send('affine:predict', { instances: ROWS }, binary(rest));
    expect([response.status, response.headers.get('ce-id')]).toEqual([200, null]);
  });

  test.each([
    [{ instances: ROWS }, binary({ ...ATTRIBUTES, specversion: '9.9' })],
    [{ ...ATTRIBUTES, specversion: '9.9', data: { instances: ROWS } }, STRUCTURED],
    [{ ...ATTRIBUTES }, STRUCTURED],
    [{ instances: ROWS }, STRUCTURED],
  ])('refuses %j %j', async (body, headers) => {
    expect(await predict('affine', body, headers)).toMatchObject([400, {}]);
  });
});
