import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TORCHSERVE } from '#agent/serve/dialects/torchserve/torchserve.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import * as models from '../../kit/onnx-models.js';

let server: ModelServer;
/** The same dialect where clients may change nothing. */
let fixed: ModelServer;

beforeAll(async () => {
  server = await startModelServer({
    dialects: [TORCHSERVE],
    models: {},
    folder: {
      files: {
        'affine/1/model.onnx': models.affineModel(),
        'addsub/1/model.onnx': models.addSubModel(),
        'text/1/model.onnx': models.textModel(),
        'token/1/model.onnx': models.tokenModel({ offset: 1 }),
        'many/1/model.onnx': models.affineModel({ bias: 1 }),
        'many/2/model.onnx': models.affineModel({ bias: 2 }),
        'many/config.pbtxt': 'version_policy { all { } }',
        'other/1/model.onnx': models.affineModel(),
        'broken/1/model.onnx': 'no model',
      },
      load: ['affine', 'addsub', 'text', 'token', 'many'],
    },
    config: { jsonElements: 1_000 },
  });
  fixed = await startModelServer({ dialects: [TORCHSERVE], models: { affine: models.affineModel() } });
});
afterAll(async () => {
  await server.close();
  await fixed.close();
});

async function call(method: string, path: string, body?: string | Uint8Array, headers: Record<string, string> = {}, base = server.base) {
  const response = await fetch(base + path, { method, headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const predict = (path: string, body: string | Uint8Array, type?: string) =>
  call('POST', `/predictions/${path}`, body, type === undefined ? {} : { 'content-type': type });

async function document(method: string, path: string, base = server.base) {
  const { status, text } = await call(method, path, undefined, {}, base);
  const answer: unknown = JSON.parse(text);
  return [status, answer] as const;
}

const BOUNDARY = 'XbX7MA4YWxkX';
const MULTIPART = `multipart/form-data; boundary=${BOUNDARY}`;
const form = (...parts: readonly (readonly [string, string | Uint8Array])[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap(([head, content]) => [Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n`), Buffer.from(content), Buffer.from('\r\n')]),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ]);
const field = (name: string, more = ''): string => `Content-Disposition: form-data; name="${name}"${more}`;

const ROWS = '[[1, 2, 3, 4]]';
const ANSWER = [[3, 5, 7, 9]];
const RAW = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);

describe('a prediction', () => {
  test.each([
    ['JSON', ROWS, 'application/json'],
    ['JSON by name', `{"x": ${ROWS}, "more": 1}`, 'application/json; charset=utf-8'],
    ['text', ROWS, 'text/plain'],
    ['bytes', ROWS, 'application/octet-stream'],
    ['no type', ROWS, undefined],
    ['raw elements', RAW, 'application/octet-stream'],
    ['the field data of a form', `other=1&data=${encodeURIComponent(ROWS)}`, 'application/x-www-form-urlencoded'],
    ['the field body of a form', `body=${encodeURIComponent(ROWS)}`, 'application/x-www-form-urlencoded'],
    ['JSON that curl calls a form', ROWS, 'application/x-www-form-urlencoded'],
    ['a file', form([field('data', '; filename="a.json"'), ROWS]), MULTIPART],
    ['a file of raw elements', form([`${field('data')}\r\nContent-Type: application/octet-stream`, RAW]), MULTIPART],
    ['the last of two files', form([field('data'), '[]'], [field('k'), 'v'], [field('data'), ROWS]), MULTIPART],
    ['a field for an input', form([field('x'), ROWS]), MULTIPART],
    ['a quoted boundary', form([field('body'), ROWS]), `multipart/form-data; boundary="${BOUNDARY}"`],
  ])('of %s', async (_what, body, type) => {
    const answer = await predict('affine', body, type);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, null]);
    expect(JSON.parse(answer.text)).toEqual(ANSWER);
  });

  test('several inputs and outputs have names; answers are indented as Python does', async () => {
    const whole = await predict('addsub', '{"a": [[1, 2, 3, 4]], "b": [[1, 1, 1, 1]]}', 'application/json');
    expect(whole.text).toMatch(/^\{\n {2}"sum": \[\n {4}\[\n {6}2\.0,\n/);
    expect(JSON.parse(whole.text)).toEqual({ sum: [[2, 3, 4, 5]], difference: [[0, 1, 2, 3]] });
    const fields = form([field('a'), RAW], [field('b'), '[[1, 1, 1, 1]]']);
    expect((await predict('addsub', fields, MULTIPART)).text).toBe(whole.text);
    expect((await predict('affine', '[[NaN, Infinity, 0, null]]', 'application/json')).text).toContain('NaN,\n    Infinity,');
    expect((await predict('token', '[9223372036854775806]', 'application/json')).text).toBe('[\n  9223372036854775807\n]');
  });

  test.each([
    ['["a", "", "wörld"]', 'application/json', ['a', '', 'wörld']],
    ['hello wörld', 'text/plain', ['hello wörld']],
    ['5', 'text/plain', ['5']],
    ['[no JSON', 'text/plain', ['[no JSON']],
    ['data=hello+there', 'application/x-www-form-urlencoded', ['hello there']],
  ])('strings: %s as %s', async (body, type, strings) => {
    expect(JSON.parse((await predict('text', body, type)).text)).toEqual(strings);
  });

  test('versions, methods and names in percent', async () => {
    expect(JSON.parse((await predict('many', ROWS)).text)).toEqual([[4, 6, 8, 10]]);
    expect(JSON.parse((await predict('many/1.0', ROWS)).text)).toEqual(ANSWER);
    expect(JSON.parse((await predict('many/1/', ROWS)).text)).toEqual(ANSWER);
    expect(JSON.parse((await call('PUT', '/predictions/%61ffine', ROWS)).text)).toEqual(ANSWER);
  });

  test('every answer has the id of its request and must not be cached; feedback finds it', async () => {
    for (const path of ['affine', 'nosuch']) {
      const { headers } = await predict(path, ROWS);
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(headers.get('cache-control')).toBe('no-cache; no-store, must-revalidate, private');
    }
    const id = (await call('POST', '/predictions/many/1.0', ROWS, { 'x-request-id': 't-1' })).headers.get('x-request-id');
    expect(id).toBe('t-1');
    const feedback = await call('POST', '/v2/models/many/feedback', JSON.stringify({ id, correct: true }));
    expect(JSON.parse(feedback.text)).toEqual({ model: 'many', version: 1 });
  });

  test.each([
    ['nosuch', ROWS, 'application/json', 404, 'ModelNotFoundException'],
    ['affine/9.9', ROWS, 'application/json', 404, 'ModelVersionNotFoundException'],
    ['affine/9.0', ROWS, 'application/json', 404, 'ModelVersionNotFoundException'],
    ['affine', '{"x": ', 'application/json', 400, 'BadRequestException'],
    ['affine', '', 'application/json', 400, 'BadRequestException'],
    ['affine', '', undefined, 400, 'BadRequestException'],
    ['affine', RAW, 'application/json', 400, 'BadRequestException'],
    ['affine', RAW.subarray(0, 15), 'application/octet-stream', 400, 'BadRequestException'],
    ['affine', '[[1, 2, 3]]', 'application/json', 400, 'BadRequestException'],
    ['affine', '[["a", 2, 3, 4]]', 'application/json', 400, 'BadRequestException'],
    ['affine', 'x=1', 'application/x-www-form-urlencoded', 400, 'BadRequestException'],
    ['affine', ROWS, 'multipart/form-data', 400, 'BadRequestException'],
    ['affine', form([field('data'), ROWS]).subarray(0, -6), MULTIPART, 400, 'BadRequestException'],
    ['affine', form(['X-Head: 1', ROWS]), MULTIPART, 400, 'BadRequestException'],
    ['addsub', '[[1, 2, 3, 4]]', 'application/json', 400, 'BadRequestException'],
    ['addsub', RAW, 'application/octet-stream', 400, 'BadRequestException'],
    ['affine', `[${'[1,2,3,4],'.repeat(300)}[1,2,3,4]]`, 'application/json', 413, 'RequestEntityTooLargeException'],
  ])('refused: %s %j %s', async (path, body, type, status, kind) => {
    const answer = await predict(path, body, type);
    const error: unknown = JSON.parse(answer.text);
    expect([answer.status, answer.headers.get('content-type'), error]).toMatchObject([
      status,
      'application/json',
      { code: status, type: kind },
    ]);
    expect(Object.keys(Object(error))).toEqual(['code', 'type', 'message']);
  });

  test('another method is refused in the form of the dialect, with those that are allowed', async () => {
    const { status, headers, text } = await call('GET', '/predictions/affine');
    expect([status, headers.get('allow'), text]).toMatchObject([
      405,
      'POST, PUT, OPTIONS',
      expect.stringContaining('"code": 405') as unknown,
    ]);
    expect((await call('GET', '/predictions/affine/1/more')).status).toBe(404);
  });

  test('bytes that are no text are no string', async () => {
    const answer = await predict('text', Uint8Array.of(0x89, 0x50), 'image/png');
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('not UTF-8')]);
  });

  test.each([
    ['POST', '/explanations/affine'],
    ['POST', '/wfpredict/w'],
    ['GET', '/models/affine?customized=true'],
  ])('unsupported by name: %s %s', async (method, path) => {
    expect(await document(method, path)).toMatchObject([501, { code: 501, type: 'NotImplementedException' }]);
  });
});

describe('descriptions', () => {
  test('health and the API', async () => {
    const ping = await call('GET', '/ping');
    expect([ping.status, ping.text]).toEqual([200, '{\n  "status": "Healthy"\n}\n']);
    const [status, api] = await document('OPTIONS', '/');
    expect([status, api]).toMatchObject([200, { openapi: '3.0.1', paths: { '/predictions/{model_name}/{model_version}': { post: {} } } }]);
    expect(await document('GET', '/api-description')).toEqual([200, api]);
    const [, model] = await document('OPTIONS', '/predictions/affine');
    expect(model).toMatchObject({ info: { title: 'RESTful API for: affine' }, paths: { '/predictions/affine': { post: {} } } });
    expect(await document('OPTIONS', '/predictions/nosuch')).toMatchObject([404, { type: 'ModelNotFoundException' }]);
  });

  test('the list has pages', async () => {
    const names = async (query: string) => {
      const [, page] = await document('GET', `/models${query}`);
      const { models: list, nextPageToken } = page as { models: { modelName: string; modelUrl: string }[]; nextPageToken?: string };
      return [list.map(({ modelName }) => modelName).join(), nextPageToken];
    };
    const all = ['addsub,affine,many,text,token', undefined];
    for (const query of ['', '?limit=0', '?limit=-1', '?limit=abc', '?limit=1000', '?next_page_token=abc', '?next_page_token=-1']) {
      expect(await names(query), query).toEqual(all);
    }
    expect(await names('?limit=2')).toEqual(['addsub,affine', '2']);
    expect(await names('?limit=2&next_page_token=4')).toEqual(['token', undefined]);
    expect(await names('?next_page_token=100')).toEqual(['', undefined]);
  });

  test('a model, a version and all of them', async () => {
    const worker = { status: 'READY', gpu: false };
    const second = { modelName: 'many', modelVersion: '2.0', minWorkers: 1, workers: [worker], jobQueueStatus: { pendingRequests: 0 } };
    expect(await document('GET', '/models/many')).toMatchObject([200, [second]]);
    expect(await document('GET', '/models/many/1.0')).toMatchObject([200, [{ modelVersion: '1.0' }]]);
    expect(await document('GET', '/models/many/all')).toMatchObject([200, [{ modelVersion: '1.0' }, second]]);
    expect(await document('GET', '/models/nosuch')).toMatchObject([404, { type: 'ModelNotFoundException' }]);
    expect(await document('GET', '/models/nosuch/all')).toMatchObject([404, { type: 'ModelNotFoundException' }]);
    expect(await document('GET', '/models/many/9.9')).toMatchObject([404, { type: 'ModelVersionNotFoundException' }]);
  });
});

describe('management', () => {
  test('a model is registered by url, scaled and unregistered', async () => {
    const registered = { status: 'Model "other" Version: 1.0 registered with 1 initial workers' };
    expect(await document('POST', '/models?url=other.mar&synchronous=true&batch_size=1')).toEqual([200, registered]);
    expect(JSON.parse((await predict('other', ROWS)).text)).toEqual(ANSWER);
    expect(await document('POST', '/models?url=other')).toMatchObject([409, { type: 'ConflictStatusException' }]);
    const none = '/models/other?min_worker=0&synchronous=true';
    expect(await document('PUT', none)).toEqual([200, { status: 'Workers scaled to 0 for model: other' }]);
    expect(await document('PUT', none)).toMatchObject([200, {}]);
    expect([(await predict('other', ROWS)).status, await document('GET', '/models/other')]).toMatchObject([503, [200, [{ workers: [] }]]]);
    expect(await document('PUT', '/models/other?min_worker=1&max_worker=4')).toEqual([202, { status: 'Processing worker updates...' }]);
    expect((await predict('other', ROWS)).status).toBe(200);
    const same = { status: 'Workers scaled to 1 for model: other, version: 1.0' };
    expect(await document('PUT', '/models/other/1.0?synchronous=true')).toEqual([200, same]);
    expect(await document('PUT', '/models/other/1.0/set-default')).toMatchObject([
      200,
      { status: expect.stringContaining('1.0') as unknown },
    ]);
    expect(await document('DELETE', '/models/other/1.0')).toEqual([200, { status: 'Model "other" unregistered' }]);
    expect([(await predict('other', ROWS)).status, (await document('DELETE', '/models/other'))[0]]).toEqual([404, 404]);
  });

  test('a model is registered by a JSON body, without a worker', async () => {
    const body = JSON.stringify({ url: './other/1/model.onnx', initial_workers: 0, synchronous: true });
    const answer = await call('POST', '/models', body, { 'content-type': 'application/json' });
    expect([answer.status, answer.text]).toMatchObject([200, expect.stringContaining('with 0 initial workers') as unknown]);
    expect((await predict('other', ROWS)).status).toBe(503);
    expect((await document('POST', '/models?url=other'))[0]).toBe(409);
    expect((await document('DELETE', '/models/other'))[0]).toBe(200);
    expect((await document('GET', '/models/other'))[0]).toBe(404);
  });

  test.each([
    ['POST', '/models', 400, 'url'],
    ['POST', '/models?url=nosuch.mar', 404, 'nosuch.mar'],
    ['POST', '/models?url=../out.mar', 404, 'Relative path'],
    ['POST', '/models?url=a/../../b.mar', 404, 'Relative path'],
    ['POST', '/models?url=https://x/other.mar', 404, 'https://x/other.mar'],
    ['POST', '/models?url=/other', 404, '/other'],
    ['POST', '/models?url=other&model_name=new', 501, 'model_name'],
    ['POST', '/models?url=other&batch_size=4', 501, 'batch_size'],
    ['POST', '/models?url=other&handler=h', 501, 'handler'],
    ['POST', '/models?url=other&initial_workers=2', 501, 'initial_workers'],
    ['POST', '/models?url=other&initial_workers=abc', 400, 'initial_workers'],
    ['PUT', '/models/nosuch?min_worker=1', 404, 'nosuch'],
    ['PUT', '/models/affine/9.9?min_worker=1', 404, '9.9'],
    ['PUT', '/models/affine?min_worker=abc', 400, 'min_worker'],
    ['PUT', '/models/affine?min_worker=3&max_worker=2', 400, 'max_worker'],
    ['PUT', '/models/affine?min_worker=3', 501, 'min_worker=3'],
    ['PUT', '/models/many/1.0?min_worker=0', 501, 'together'],
    ['PUT', '/models/nosuch/1.0/set-default', 404, 'nosuch'],
    ['PUT', '/models/affine/9.9/set-default', 404, '9.9'],
    ['PUT', '/models/many/1.0/set-default', 501, 'version policy'],
    ['DELETE', '/models/nosuch', 404, 'nosuch'],
    ['DELETE', '/models/many/2.0', 403, 'default version'],
    ['DELETE', '/models/many/1.0', 501, 'together'],
  ])('refused: %s %s', async (method, path, status, message) => {
    const [found, error] = await document(method, path);
    expect([found, (error as { message: string }).message]).toEqual([status, expect.stringContaining(message)]);
  });

  test('a model that cannot be loaded is not registered', async () => {
    expect((await document('POST', '/models?url=broken'))[0]).toBeGreaterThanOrEqual(400);
    expect((await document('GET', '/models/broken'))[0]).toBe(404);
  });

  test.each([
    ['POST', '/models?url=affine', 405],
    ['DELETE', '/models/affine', 405],
    ['PUT', '/models/affine?min_worker=0', 405],
    ['PUT', '/models/affine?min_worker=1', 202],
    ['GET', '/models/affine', 200],
  ])('where clients may change nothing: %s %s', async (method, path, status) => {
    expect((await document(method, path, fixed.base))[0]).toBe(status);
  });
});
