import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OIP } from '#agent/serve/dialects/oip/oip.js';
import { TENSORFLOW_SERVING } from '#agent/serve/dialects/tensorflow-serving/tensorflow-serving.js';
import { fleetRepository } from '#agent/serve/repository.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import * as models from '../../kit/onnx-models.js';
import { versionNumber } from '../../kit/servables.js';

let server: ModelServer;

beforeAll(async () => {
  server = await startModelServer({
    dialects: [OIP, TENSORFLOW_SERVING],
    models: {
      affine: models.affineModel(),
      addsub: models.addSubModel(),
      'text.v2': models.textModel(),
      image: models.textModel({ answer: 'image_bytes' }),
      token: models.tokenModel({ offset: 1 }),
      log: models.logModel(),
      scalars: models.everyTypeModel(() => []),
      classifier: models.classifierModel({ zipMap: false }),
      single: models.affineModel({ width: 1 }),
    },
    config: { jsonElements: 1_000 },
    repository: (runtime) => ({
      ...fleetRepository(runtime),
      labelled: (model, label) => {
        if (label === 'stable') return versionNumber(1);
        throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model} has no label ${label}`);
      },
      classNames: (model) => (model === 'classifier' ? ['cat', 'dog', 'owl'] : undefined),
    }),
  });
});
afterAll(() => server.close());

async function send(path: string, body: string | object) {
  const response = await fetch(`${server.base}${path}`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

const predict = (model: string, body: string | object) => send(`/v1/models/${model}:predict`, body);

async function get(path: string): Promise<readonly [number, unknown]> {
  const response = await fetch(`${server.base}${path}`);
  return [response.status, await response.json()];
}

function errorOf(text: string): unknown {
  const answer = JSON.parse(text) as { readonly error?: unknown };
  expect(Object.keys(answer)).toEqual(['error']);
  return answer.error;
}

const ROWS = [
  [1, 2, 3, 4],
  [5, 6, 7, 8],
];

describe('predict', () => {
  test.each([
    ['rows', 'affine', { instances: ROWS }, '{"predictions":[[3.0,5.0,7.0,9.0],[11.0,13.0,15.0,17.0]]}'],
    ['named rows', 'affine', { instances: ROWS.map((x) => ({ x })) }, '{"predictions":[[3.0,5.0,7.0,9.0],[11.0,13.0,15.0,17.0]]}'],
    ['a column', 'affine', { inputs: ROWS }, '{"outputs":[[3.0,5.0,7.0,9.0],[11.0,13.0,15.0,17.0]]}'],
    ['a named column', 'affine', { inputs: { x: [[0, 0, 0, 0]] } }, '{"outputs":[[1.0,1.0,1.0,1.0]]}'],
    [
      'the usual signature',
      'affine',
      { signature_name: 'serving_default', instances: [[0, 0, 0, 0]] },
      '{"predictions":[[1.0,1.0,1.0,1.0]]}',
    ],
    [
      'rows of several tensors',
      'addsub',
      { instances: [{ a: [1, 2, 3, 4], b: [1, 1, 1, 1] }] },
      '{"predictions":[{"sum":[2.0,3.0,4.0,5.0],"difference":[0.0,1.0,2.0,3.0]}]}',
    ],
    [
      'columns of several tensors',
      'addsub',
      { inputs: { a: [[1, 2, 3, 4]], b: [[1, 1, 1, 1]] } },
      '{"outputs":{"sum":[[2.0,3.0,4.0,5.0]],"difference":[[0.0,1.0,2.0,3.0]]}}',
    ],
    ['strings', 'text.v2', { instances: ['a', 'wörld', ''] }, '{"predictions":["a","wörld",""]}'],
    ['base64', 'text.v2', { instances: [{ b64: 'aGVsbG8=' }, 'b'] }, '{"predictions":["hello","b"]}'],
    ['named base64', 'text.v2', { instances: [{ text: { b64: 'aGVsbG8' } }] }, '{"predictions":["hello"]}'],
    ['a column of base64', 'text.v2', { inputs: [{ b64: 'aGVsbG8=' }] }, '{"outputs":["hello"]}'],
    ['outputs that are bytes', 'image', { instances: ['hello', 'ö'] }, '{"predictions":[{"b64":"aGVsbG8="},{"b64":"w7Y="}]}'],
    ['a column of bytes', 'image', { inputs: ['hello'] }, '{"outputs":[{"b64":"aGVsbG8="}]}'],
    [
      'long whole numbers',
      'token',
      '{"instances":[9223372036854775806,-9223372036854775808]}',
      '{"predictions":[9223372036854775807,-9223372036854775807]}',
    ],
    [
      'words for what is not finite',
      'log',
      '{"instances":[NaN,Infinity,0,-1]}',
      '{"predictions":[{"y":NaN,"logs":NaN},{"y":Infinity,"logs":Infinity},{"y":0.0,"logs":-Infinity},{"y":-1.0,"logs":NaN}]}',
    ],
  ])('%s', async (_form, model, body, text) => {
    expect(await predict(model, body)).toEqual({ status: 200, type: 'application/json', text });
  });

  test('single values of every type, by their declared type', async () => {
    const inputs = {
      BOOL: true,
      UINT8: 255,
      UINT16: 1,
      UINT32: 4294967295,
      UINT64: 7,
      INT8: -128,
      INT16: -1,
      INT32: 5,
      INT64: 6,
      FP16: 0.5,
      FP32: 1,
      FP64: 0.1,
      BF16: 3,
      BYTES: 'x',
    };
    const { status, text } = await predict('scalars', { inputs });
    expect([status, JSON.parse(text)]).toEqual([
      200,
      { outputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`out ${name}`, value])) },
    ]);
    expect(await predict('scalars', { instances: [inputs] })).toMatchObject({ status: 400 });
  });

  test.each([
    '/v1/models/affine/versions/1:predict',
    '/v1/models/affine/versions/0:predict',
    '/v1/models/affine/labels/stable:predict',
    '/V1/MODELS/affine:PREDICT',
    '/v1/models/affine%3Apredict',
    '/v1/models/affine:predict?x=1',
  ])('%s', async (path) => {
    expect(await send(path, { instances: [[0, 0, 0, 0]] })).toMatchObject({ status: 200, text: '{"predictions":[[1.0,1.0,1.0,1.0]]}' });
  });

  test('an answer in pieces is the same', async () => {
    const rows = Array.from({ length: 240 }, (_, at) => [at, 0, 0, 0]);
    const { text } = await predict('affine', { instances: rows });
    expect(JSON.parse(text)).toEqual({ predictions: rows.map(([at = 0]) => [2 * at + 1, 1, 1, 1]) });
  });

  test.each([
    ['affine', '', 'the body is not JSON'],
    ['affine', '[1]', 'the body must be a JSON object'],
    ['affine', '{"instances":[[1,2,3,4]]', 'the body is not JSON'],
    ['affine', {}, "Missing 'inputs' or 'instances' key"],
    ['affine', { instances: ROWS, inputs: ROWS }, "the request has both 'inputs' and 'instances'"],
    ['affine', { instances: { x: 1 } }, 'Expected "instances" to be a list'],
    ['affine', { instances: [] }, '"instances" has no entry'],
    ['affine', { instances: ROWS, signature_name: 'other' }, 'Serving signature name: "other" not found'],
    ['affine', { instances: ROWS, signature_name: 7 }, "'signature_name' key must be a string"],
    ['affine', { instances: [[1, 2], [3]] }, 'input "x": its arrays are uneven'],
    ['affine', { instances: [['1', 2, 3, 4]] }, 'input "x": element 0 is "1"'],
    ['affine', { instances: [[true, 2, 3, 4]] }, 'input "x": element 0 is true'],
    ['affine', { instances: [[null, 2, 3, 4]] }, 'input "x": element 0 is null'],
    ['affine', { instances: [{ x: [1, 2, 3, 4] }, [1, 2, 3, 4]] }, 'instances[1] is no object of inputs'],
    ['affine', { instances: [{ x: [1, 2, 3, 4], y: 1 }] }, 'row 0 has "y", which is no input'],
    ['addsub', { instances: [{ a: [1, 2, 3, 4] }] }, 'row 0 lacks the input "b"'],
    ['addsub', { instances: ROWS }, 'the model has 2 inputs'],
    ['addsub', { inputs: ROWS }, 'the model needs "a", "b"'],
    ['token', { instances: [1.5] }, 'input "x": element 0 is 1.5'],
    ['text.v2', { instances: [{ b64: '*' }] }, 'Unable to base64 decode'],
    ['text.v2', { instances: [{ b64: 'YQ==', c: 1 }] }, 'row 0 lacks the input "text"'],
  ])('%s refuses %j', async (model, body, message) => {
    const { status, text } = await predict(model, body);
    expect([status, errorOf(text)]).toEqual([400, expect.stringContaining(message)]);
  });

  test('what is unknown or too large', async () => {
    expect(await predict('nothing', { instances: [1] })).toMatchObject({ status: 404 });
    expect(await send('/v1/models/affine/versions/9:predict', { instances: ROWS })).toMatchObject({ status: 404 });
    expect(await send('/v1/models/affine/labels/canary:predict', { instances: ROWS })).toMatchObject({ status: 404 });
    expect(await predict('affine', { instances: Array.from({ length: 300 }, () => [1, 2, 3, 4]) })).toMatchObject({ status: 413 });
  });
});

describe('classify and regress', () => {
  test('scores have the names of their classes', async () => {
    const { status, text } = await send('/v1/models/classifier:classify', { examples: [{ x: [0, 0] }, { x: [9, -9] }] });
    const { results } = JSON.parse(text) as { readonly results: readonly (readonly (readonly [string, number])[])[] };
    expect(status).toBe(200);
    expect(results.map((classes) => classes.map(([label]) => label))).toEqual([
      ['cat', 'dog', 'owl'],
      ['cat', 'dog', 'owl'],
    ]);
    expect(results[1]?.[0]?.[1]).toBeGreaterThan(0.9);
  });

  test('without names and with a context', async () => {
    const one = await send('/v1/models/single:classify', { context: { x: 2 }, examples: [{}, { x: [1], label: 'y' }] });
    expect(one).toMatchObject({ status: 200, text: '{"results":[[["",5.0]],[["",3.0]]]}' });
  });

  test('a value for each example', async () => {
    const { text } = await send('/v1/models/single:regress', { signature_name: 'serving_default', examples: [{ x: 1 }, { x: 2.5 }] });
    expect(text).toBe('{"results":[3.0,6.0]}');
  });

  test.each([
    ['affine:regress', { examples: [{ x: [1, 2, 3, 4] }] }, 'the model gives 4 values'],
    ['addsub:classify', { examples: [{ a: [1, 2, 3, 4], b: [1, 2, 3, 4] }] }, 'the model has no output "scores"'],
    ['single:classify', { examples: [] }, "'examples' value is an empty array"],
    ['single:classify', {}, "'examples' must be a list"],
    ['single:classify', { examples: [1] }, 'Example must be JSON object'],
    ['single:classify', { examples: [{ x: 1 }], context: 1 }, "'context' must be an object"],
    ['single:classify', { examples: [{ y: 1 }] }, 'row 0 lacks the input "x"'],
  ])('%s refuses %j', async (path, body, message) => {
    const { status, text } = await send(`/v1/models/${path}`, body);
    expect([status, errorOf(text)]).toEqual([400, expect.stringContaining(message)]);
  });
});

describe('models', () => {
  const AVAILABLE = {
    model_version_status: [{ version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } }],
  };

  test.each([
    '/v1/models/affine',
    '/v1/models/affine/versions/1',
    '/v1/models/affine/versions/0',
    '/v1/models/affine/labels/stable',
    '/v1/Models/affine/',
  ])('status: %s', async (path) => {
    expect(await get(path)).toEqual([200, AVAILABLE]);
  });

  test('what is not there', async () => {
    expect(await get('/v1/models/nothing')).toEqual([404, { error: 'no model "nothing" is loaded on this device' }]);
    expect(await get('/v1/models/affine/versions/2')).toEqual([404, { error: 'Could not find version 2 of model affine' }]);
    expect(await get('/v1/models/affine/versions/x')).toMatchObject([404, {}]);
    expect(await get('/v1/models/affine/labels/canary')).toMatchObject([404, {}]);
  });

  test('metadata is a signature', async () => {
    const tensor = (name: string) => ({
      dtype: 'DT_FLOAT',
      tensor_shape: {
        dim: [
          { size: '-1', name: '' },
          { size: '4', name: '' },
        ],
        unknown_rank: false,
      },
      name: `${name}:0`,
    });
    const signature = { inputs: { x: tensor('x') }, outputs: { y: tensor('y') }, method_name: 'tensorflow/serving/predict', defaults: {} };
    const expected = {
      model_spec: { name: 'affine', signature_name: '', version: '1' },
      metadata: { signature_def: { signature_def: { serving_default: signature } } },
    };
    expect(await get('/v1/models/affine/metadata')).toEqual([200, expected]);
    expect(await get('/v1/models/affine/versions/1/metadata')).toEqual([200, expected]);
    expect(await get('/v1/models/affine/labels/stable/metadata')).toEqual([200, expected]);
  });

  test('the list', async () => {
    const names = ['addsub', 'affine', 'classifier', 'image', 'log', 'scalars', 'single', 'text.v2', 'token'];
    const [status, list] = await get('/v1/models');
    const { models: found } = list as { readonly models: readonly string[] };
    expect([status, [...found].sort()]).toEqual([200, names]);
  });
});
