import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MLFLOW } from '#agent/serve/dialects/mlflow/mlflow.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import * as models from '../../kit/onnx-models.js';

let server: ModelServer;

beforeAll(async () => {
  server = await startModelServer({
    dialects: [MLFLOW],
    models: {
      affine: models.affineModel(),
      addsub: models.addSubModel(),
      columns: models.columnsModel(),
      log: models.logModel(),
      classifier: models.classifierModel({ zipMap: false }),
      token: models.tokenModel({ offset: 1 }),
    },
    config: { jsonElements: 1_000 },
  });
});
afterAll(() => server.close());

const JSON_TYPE = 'application/json';

async function score(model: string, body: string | object, type: string | undefined = JSON_TYPE, more: Record<string, string> = {}) {
  const response = await fetch(`${server.base}/invocations?model_name=${model}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { ...(type === undefined ? {} : { 'content-type': type }), ...more },
  });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

async function predictions(model: string, body: string | object, type = JSON_TYPE): Promise<unknown> {
  const { text } = await score(model, body, type);
  // Python reads these words as numbers.
  const answer = JSON.parse(text.replaceAll(/(?<=[[, ])(NaN|-?Infinity)/g, '"$1"')) as { readonly predictions?: unknown };
  return answer.predictions;
}

const ROWS = [
  [1, 2, 3, 4],
  [5, 6, 7, 8],
];
const DOUBLED = [
  [3, 5, 7, 9],
  [11, 13, 15, 17],
];
const RECORDS = ROWS.map(([a, b, c, d]) => ({ a, b, c, d }));

describe('forms of a request', () => {
  test.each([
    ['inputs', { inputs: ROWS }],
    ['inputs by name, with another member', { inputs: { x: ROWS, z: [1] } }],
    ['inputs as columns', { inputs: { a: [1, 5], b: [2, 6], c: [3, 7], d: [4, 8] } }],
    ['inputs as records', { inputs: RECORDS }],
    ['instances', { instances: ROWS }],
    ['instances as records', { instances: RECORDS }],
    ['instances by name', { instances: ROWS.map((x) => ({ x })) }],
    ['dataframe_split', { dataframe_split: { columns: ['a', 'b', 'c', 'd'], index: [7, 8], data: ROWS } }],
    ['dataframe_split without columns', { dataframe_split: { data: ROWS } }],
    ['dataframe_split of one column of lists', { dataframe_split: { columns: ['q'], data: ROWS.map((row) => [row]) } }],
    ['dataframe_records', { dataframe_records: RECORDS }],
    ['parameters, which mean nothing', { inputs: ROWS, params: { temperature: 1 }, more: 1 }],
    ['numbers as text and true', { inputs: [['1', '2.0', ' 3', 4], ROWS[1]] }],
  ])('%s', async (_form, body) => {
    expect(await predictions('affine', body)).toEqual(DOUBLED);
  });

  test.each([
    ['text/csv', 'a,b,c,d\n1,2,3,4\n5,6,7,8\n'],
    ['text/csv; charset=UTF-8', '\ufeff"a","b","c","d"\r\n\r\n"1",2,3.0,4e0\r\n5,6,7,8'],
  ])('%s', async (type, body) => {
    expect(await predictions('affine', body, type)).toEqual(DOUBLED);
  });

  test('one row as values', async () => {
    expect(await predictions('affine', { inputs: { a: 1, b: 2, c: 3, d: 4 } })).toEqual([DOUBLED[0]]);
  });

  test('several inputs by name, several outputs as an object', async () => {
    const answer = {
      sum: [
        [11, 22, 33, 44],
        [1, 1, 1, 1],
      ],
      difference: [
        [-9, -18, -27, -36],
        [-1, -1, -1, -1],
      ],
    };
    const a = [
      [1, 2, 3, 4],
      [0, 0, 0, 0],
    ];
    const b = [
      [10, 20, 30, 40],
      [1, 1, 1, 1],
    ];
    expect(await predictions('addsub', { inputs: { a, b, z: 1 } })).toEqual(answer);
    expect(await predictions('addsub', { instances: a.map((row, at) => ({ a: row, b: b[at] })) })).toEqual(answer);
    expect(await predictions('addsub', { dataframe_records: a.map((row, at) => ({ b: b[at], a: row })) })).toEqual(answer);
  });

  test('columns of every kind, matched by name', async () => {
    const answer = { 'real out': [[1.5], ['NaN']], 'whole out': [[7], [9]], 'flag out': [[true], [false]], 'word out': [['a'], ['007']] };
    const rows = [
      { real: 1.5, whole: 7, flag: true, word: 'a', more: 1 },
      { whole: '9', flag: 'False', word: '007', more: null },
    ];
    expect(await predictions('columns', { dataframe_records: rows })).toEqual(answer);
    const csv = 'word,flag,whole,real,more\na,true,7,1.5,x\n007,False,9\n';
    expect(await predictions('columns', csv, 'text/csv')).toEqual(answer);
    const columns = { real: [1.5, null], whole: [7, 9], flag: [true, false], word: ['a', '007'] };
    expect(await predictions('columns', { inputs: columns })).toEqual(answer);
  });
});

describe('answers', () => {
  test('numbers are written as Python writes them', async () => {
    expect((await score('log', { inputs: [1, 0, -1, 'NaN'] })).text).toContain('"logs": [0.0,-Infinity,NaN,NaN]');
    expect((await score('affine', '{"inputs": [[NaN, Infinity, 0, null]]}')).text).toBe('{"predictions": [[NaN,Infinity,1.0,NaN]]}');
    expect((await score('token', '{"inputs": [9223372036854775806]}')).text).toBe('{"predictions": [9223372036854775807]}');
  });

  test('a scikit-learn classifier answers labels; outputs can be named', async () => {
    const body = { inputs: [[5, 0]] };
    expect(await predictions('classifier', body)).toEqual([0]);
    expect(await predictions('classifier&output=probabilities', body)).toMatchObject([{ length: 3 }]);
    expect(await predictions('classifier&output=probabilities&output=label', body)).toMatchObject({
      label: [0],
      probabilities: [{ length: 3 }],
    });
    expect((await score('classifier&output=nosuch', body)).status).toBe(400);
  });

  test('a large one is written in pieces', async () => {
    const rows = Array.from({ length: 250 }, (_, row) => [row, 0, 0, 0]);
    expect(await predictions('affine', { inputs: rows })).toEqual(rows.map(([value]) => [Number(value) * 2 + 1, 1, 1, 1]));
  });
});

describe('refused', () => {
  test.each([
    ['malformed', '{"inputs": [', 'BAD_REQUEST', ''],
    ['empty', '', 'BAD_REQUEST', ''],
    ['not UTF-8', Buffer.from([0x7b, 0xe9]).toString('latin1'), 'BAD_REQUEST', ''],
    ['a list', '[[1]]', 'BAD_REQUEST', 'exactly one of'],
    ['none of the members', '{"rows": []}', 'BAD_REQUEST', 'has none of them'],
    ['two members', '{"inputs": [], "instances": []}', 'BAD_REQUEST', 'inputs and instances'],
    ['chat', '{"messages": []}', 'BAD_REQUEST', 'exactly one of'],
    ['params that are no object', '{"inputs": [[1,2,3,4]], "params": [1]}', 'INVALID_PARAMETER_VALUE', 'params'],
    ['instances that are no list', '{"instances": {"a": 1}}', 'INVALID_PARAMETER_VALUE', 'list'],
    ['records that are no list', '{"dataframe_records": {"a": 1}}', 'BAD_REQUEST', 'list'],
    ['records and something else', '{"dataframe_records": [{"a": 1}, 2]}', 'BAD_REQUEST', 'row 1'],
    ['no records', '{"dataframe_records": []}', 'INVALID_PARAMETER_VALUE', '"x"'],
    ['a split without data', '{"dataframe_split": {"columns": ["a"], "rows": []}}', 'BAD_REQUEST', 'rows'],
    ['a split of uneven rows', '{"dataframe_split": {"columns": ["a","b"], "data": [[1,2],[1]]}}', 'BAD_REQUEST', 'row 1'],
    ['a split whose columns are no list', '{"dataframe_split": {"columns": 1, "data": [[1]]}}', 'BAD_REQUEST', 'columns'],
    ['uneven columns', '{"inputs": {"a": [1,2], "b": [1]}}', 'INVALID_PARAMETER_VALUE', '"b"'],
    ['too narrow', '{"inputs": [[1,2,3]]}', 'INVALID_PARAMETER_VALUE', '[1,3]'],
    ['another rank', '{"inputs": [1,2,3,4]}', 'INVALID_PARAMETER_VALUE', '[4]'],
    ['uneven', '{"inputs": [[1,2,3,4],[1]]}', 'BAD_REQUEST', 'uneven'],
    ['a word', '{"inputs": [["a",2,3,4]]}', 'BAD_REQUEST', '"a"'],
    ['nothing', '{"inputs": null}', 'INVALID_PARAMETER_VALUE', ''],
    ['nobody', '{"inputs": []}', 'INVALID_PARAMETER_VALUE', ''],
  ])('%s', async (_what, body, code, message) => {
    const answer = await score('affine', body);
    const error = JSON.parse(answer.text) as { readonly message?: string };
    expect([answer.status, answer.type, error]).toMatchObject([400, JSON_TYPE, { error_code: code }]);
    expect(error.message).toContain(message);
  });

  test.each([
    ['a missing input', 'addsub', '{"inputs": {"a": [[1,2,3,4]]}}', '"b"'],
    ['a bare list for several inputs', 'addsub', '{"inputs": [[1,2,3,4]]}', '"a", "b"'],
    ['a missing column', 'columns', '{"dataframe_records": [{"real": 1, "whole": 1, "flag": true}]}', '"word"'],
    ['half a number for a whole one', 'columns', '{"inputs": {"real": [1], "whole": [1.5], "flag": [true], "word": ["a"]}}', '1.5'],
    ['a number for a word', 'columns', '{"inputs": {"real": [1], "whole": [1], "flag": [true], "word": [5]}}', 'element 0 is 5'],
  ])('%s', async (_what, model, body, message) => {
    const answer = await score(model, body);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(JSON.stringify(message).slice(1, -1))]);
  });

  test.each([
    ['nothing', ''],
    ['a value too many', 'a,b,c,d\n1,2,3,4,5\n'],
    ['no columns', '1,2,3,4\n'],
    ['a word', 'a,b,c,d\nx,2,3,4\n'],
    ['an open quote', 'a,b,c,d\n"1,2,3,4\n'],
    ['characters behind a quote', 'a,b,c,d\n"1"2,2,3,4\n'],
  ])('CSV with %s', async (_what, body) => {
    expect((await score('affine', body, 'text/csv')).status).toBe(400);
  });

  test.each([
    ['text/plain', 'content types'],
    [undefined, 'content types'],
    ['application/vnd.apache.parquet', 'content types'],
    ['application/json; format=pandas-split', 'format'],
    ['application/json; charset=latin-1', 'UTF-8'],
  ])('the content type %s', async (type, message) => {
    const bytes = Buffer.from('{"inputs": [[1,2,3,4]]}');
    const headers = type === undefined ? {} : { 'content-type': type };
    const response = await fetch(`${server.base}/invocations?model_name=affine`, { method: 'POST', body: bytes, headers });
    expect([response.status, response.headers.get('content-type')]).toEqual([415, 'text/plain; charset=utf-8']);
    expect(await response.text()).toContain(message);
  });

  test('what is too large', async () => {
    const wide = Array.from({ length: 300 }, () => [1, 2, 3, 4]);
    const answer = await score('affine', { inputs: wide });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([413, { error_class: 'SERVE_JSON_TOO_LARGE' }]);
    const csv = `a,b,c,d\n${'1,2,3,4\n'.repeat(300)}`;
    expect(JSON.parse((await score('affine', csv, 'text/csv')).text)).toMatchObject({ error_class: 'SERVE_JSON_TOO_LARGE' });
  });
});

describe('the server', () => {
  test('health and version', async () => {
    for (const path of ['/ping', '/health']) {
      const response = await fetch(server.base + path);
      expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, JSON_TYPE, '\n']);
    }
    expect(await (await fetch(`${server.base}/version`)).text()).toBe('0.1.0');
  });

  test('one model needs no name; of several one must be named, and an unknown one is told', async () => {
    const body = JSON.stringify({ inputs: ROWS });
    const post = async (base: string, query = '') => {
      const response = await fetch(`${base}/invocations${query}`, { method: 'POST', body, headers: { 'content-type': JSON_TYPE } });
      const answer: unknown = await response.json();
      return [response.status, answer] as const;
    };
    expect(await post(await server.alone('affine'))).toEqual([200, { predictions: DOUBLED }]);
    expect(await post(server.base)).toMatchObject([400, { error_class: 'SERVE_REQUEST' }]);
    expect(await post(server.base, '?model_name=nosuch')).toMatchObject([404, { error_code: 'RESOURCE_DOES_NOT_EXIST' }]);
    const nothing = await server.alone('nosuch');
    expect(await post(nothing)).toMatchObject([404, { error_code: 'RESOURCE_DOES_NOT_EXIST' }]);
    expect((await fetch(`${nothing}/ping`)).status).toBe(404);
  });

  test('an answer can be judged by the id of its request', async () => {
    await score('affine', { inputs: ROWS }, JSON_TYPE, { 'x-request-id': 'm-1' });
    const body = JSON.stringify({ id: 'm-1', correct: true });
    const response = await fetch(`${server.base}/v2/models/affine/feedback`, { method: 'POST', body });
    expect([response.status, await response.json()]).toEqual([200, { model: 'affine', version: 1 }]);
  });
});
