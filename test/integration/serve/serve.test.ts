import { mkdtemp, readFile, rename, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { openDialects } from '#agent/serve/dialects.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { DEFAULT_SERVE_SETTINGS, type ServeConfig } from '#agent/serve/config.js';
import { createInferenceServer, httpApis, type InferenceServer } from '#agent/serve/server.js';
import { ROWS } from '#shared/signals/rows.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { affineModel, loopModel, slowModel, tableModel } from '../../kit/onnx-models.js';
import { affineSample, fp32, memoryKeyValue, modelName, numbersOf, versionNumber, writeServable } from '../../kit/servables.js';
import { until } from '../../kit/until.js';

let runtime: InferenceRuntime;
const recorder = new MetricsRecorder();
let server: InferenceServer;
let base: string;
const closing: InferenceServer[] = [];

async function serve(config: Partial<ServeConfig>): Promise<InferenceServer> {
  const made = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests: new RequestCounts(),
    metricsText: () => 'skerry_build_info 1\n',
    status: () => ({ device: 'dev-1' }),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 }, closeGrace: 200, ...config },
  });
  await made.start();
  closing.push(made);
  return made;
}

const urlOf = (one: InferenceServer) => `http://127.0.0.1:${one.address.tcp?.port}`;

beforeAll(async () => {
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  runtime.route(modelName('affine'), versionNumber(1));
  await runtime.load(await writeServable(affineModel({ bias: 5 }), { version: 2, samples: [affineSample(2, 5)] }));
  server = await serve({ bodyLimit: 1024 * 1024 });
  base = urlOf(server);
});
afterAll(async () => {
  await Promise.all(closing.map((one) => one.close()));
  await runtime.close();
});

const INFER = '/v2/models/affine/infer';
const input = { name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] };
const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${base}${url}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
  });

describe('7, 15: how long a prediction may take', () => {
  const slow = modelName('patient');
  const ask = (one: InferenceServer, body: object) =>
    // A kept connection may be closed just when it is used again.
    fetch(`${urlOf(one)}/v2/models/patient/infer`, { method: 'POST', headers: { connection: 'close' }, body: JSON.stringify(body) });

  beforeAll(async () => {
    await runtime.load(
      await writeServable(loopModel({ iterations: 3_000_000 }), {
        model: 'patient',
        samples: [{ inputs: affineSample().inputs, outputs: { y: affineSample().inputs['x']! } }],
      }),
    );
    runtime.route(slow, versionNumber(1));
  });
  afterAll(() => runtime.unload(slow, versionNumber(1)));

  test('is not cut off by what a connection may idle, and a late one gets 504 before anything is closed', async () => {
    // Longer than a busy machine may leave a request unread, and much less than the prediction takes.
    const one = await serve({ idleTimeout: 300 });
    const answer = await ask(one, { inputs: [input] });
    expect(answer.status).toBe(200);
    const late = await ask(one, { inputs: [input], parameters: { timeout: 100_000 } });
    expect(late.status).toBe(504);
    expect(await late.json()).toMatchObject({ code: 'INFERENCE_TIMEOUT_SHORT' });
    await runtime.infer({ model: slow, inputs: affineSample().inputs, timeout: 60_000 });
  });

  test('25 days are no time that is over at once', async () => {
    expect((await ask(server, { inputs: [input], parameters: { timeout: 2_200_000_000_000 } })).status).toBe(200);
  });
});

describe('Open Inference Protocol v2 in JSON', () => {
  test('says what it is and what it holds', async () => {
    const get = async (url: string) => (await fetch(`${base}${url}`)).json();
    expect(await get('/v2')).toMatchObject({ name: 'skerry', version: '0.1.0' });
    expect(await get('/v2/health/live')).toEqual({ live: true });
    expect(await get('/v2/health/ready')).toEqual({ ready: true });
    expect(await get('/v2/models/affine')).toEqual({
      name: 'affine',
      versions: ['1', '2'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
    });
    const statistics = { name: 'affine', inference_stats: { cache_hit: { count: 0, ns: 0 } }, response_stats: {} };
    expect(await get('/v2/models/affine/stats')).toMatchObject({ model_stats: [statistics, { ...statistics, version: '2' }] });
    expect(await get('/v2/models/affine/versions/2/stats')).toMatchObject({ model_stats: [{ ...statistics, version: '2' }] });
    expect(await get('/v2/models/stats')).toMatchObject({ model_stats: [statistics, statistics] });
    expect(await get('/v2/models/affine/versions/2/ready')).toEqual({ name: 'affine', ready: true });
    expect(await get('/skerry/v1/status')).toEqual({ device: 'dev-1' });
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('skerry_build_info');
    const head = await fetch(`${base}/v2`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('takes null for what may be left out, and an empty id for none, as typed clients write them', async () => {
    const parameters = null;
    const typed = { id: null, parameters, inputs: [{ ...input, parameters }], outputs: [{ name: 'y', parameters }] };
    const reply = await post(INFER, typed);
    expect([reply.status, await reply.json()]).toMatchObject([200, { outputs: [{ data: [3, 5, 7, 9] }] }]);
    const asked = { id: '', parameters: { key: '', timeout: null, binary_data_output: null }, inputs: [input], outputs: null };
    const bare = await post(INFER, asked);
    expect([bare.status, Object.keys((await bare.json()) as object)]).toEqual([200, ['model_name', 'model_version', 'outputs']]);
  });

  test('is what docs/PROTOCOL.md says: its paths, and its example', async () => {
    const page = await readFile('docs/PROTOCOL.md', 'utf8');
    // Other dialects have chapters of their own.
    const section = page.slice(page.indexOf('## Local API')).split(/\n###? /)[0] ?? '';
    const written = [...section.matchAll(/`((?:GET|POST) \/[^`]+)`/g)].flatMap(([, route = '']) =>
      route.includes('[') ? [route.replace(/\[.*\]/, ''), route.replace(/[[\]]/g, '')] : [route],
    );
    const parts = {
      dataPlane: runtime,
      feedback: recorder,
      metricsText: () => '',
      status: () => ({}),
      agentVersion: '',
      dialects: await openDialects(),
    };
    expect(written.toSorted()).toEqual(
      httpApis(parts, { ...DEFAULT_SERVE_SETTINGS, jsonElements: 1 })
        .filter(({ name }) => name === 'oip' || name === 'skerry')
        .flatMap(({ routes }) => routes.map((route) => `${route.method} ${route.path}`))
        .toSorted(),
    );
    const example = /<!-- infer -->\n```json\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
    const reply = await post(INFER, example);
    expect([reply.status, await reply.json()]).toMatchObject([200, { id: '42', outputs: [{ name: 'y', data: [3, 5, 7, 9] }] }]);
  });

  test('predicts by routing and by version, flat or nested data, chosen outputs', async () => {
    const first = await post(INFER, { id: 'a1', inputs: [input] });
    expect(await first.json()).toEqual({
      model_name: 'affine',
      model_version: '1',
      id: 'a1',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 4], data: [3, 5, 7, 9] }],
    });
    const nested = {
      ...input,
      shape: [2, 4],
      data: [
        [1, 2, 3, 4],
        [0, 0, 0, 0],
      ],
    };
    const second = await post('/v2/models/affine/versions/2/infer', { inputs: [nested], outputs: [{ name: 'y' }] });
    expect(await second.json()).toMatchObject({ model_version: '2', outputs: [{ data: [7, 9, 11, 13, 5, 5, 5, 5] }] });
  });
});

describe('the binary tensor data extension', () => {
  const values = Float32Array.of(1, 2, 3, 4);
  const binary = (document: object, data: Uint8Array = new Uint8Array(values.buffer)) => {
    const head = Buffer.from(JSON.stringify(document));
    return { body: Buffer.concat([head, data]), headers: { 'Inference-Header-Content-Length': String(head.byteLength) } };
  };
  const binaryInput = { name: 'x', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } };

  test.each([
    ['the whole answer', { inputs: [binaryInput], parameters: { binary_data_output: true } }],
    ['one output', { inputs: [binaryInput], outputs: [{ name: 'y', parameters: { binary_data: true } }] }],
  ])('in and out: %s', async (_, document) => {
    const { body, headers } = binary(document);
    const response = await post(INFER, body, headers);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length'));
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(JSON.parse(Buffer.from(bytes.subarray(0, length)).toString())).toMatchObject({
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 4], parameters: { binary_data_size: 16 } }],
    });
    expect(numbersOf({ datatype: 'FP32', shape: [1, 4], data: bytes.subarray(length) })).toEqual([3, 5, 7, 9]);
  });

  test('a large body moves through unharmed', async () => {
    const rows = 10_000;
    const many = Float32Array.from({ length: rows * 4 }, (_, index) => index % 100);
    const { body, headers } = binary(
      {
        inputs: [{ ...binaryInput, shape: [rows, 4], parameters: { binary_data_size: many.byteLength } }],
        parameters: { binary_data_output: true },
      },
      new Uint8Array(many.buffer),
    );
    const response = await post(INFER, body, headers);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const out = numbersOf({
      datatype: 'FP32',
      shape: [rows, 4],
      data: bytes.subarray(Number(response.headers.get('inference-header-content-length'))),
    });
    expect(out.every((value, index) => value === (index % 100) * 2 + 1)).toBe(true);
  });

  test.each([
    ['more than the body', { ...binaryInput, parameters: { binary_data_size: 999 } }, 'SERVE_BODY'],
    ['less than the shape', { ...binaryInput, parameters: { binary_data_size: 12 } }, 'TENSOR_DATA'],
    ['left over', { ...input }, 'SERVE_BODY'],
    ['no number', { ...binaryInput, parameters: { binary_data_size: 'x' } }, 'SERVE_REQUEST'],
    ['given twice', { ...binaryInput, data: [1, 2, 3, 4] }, 'SERVE_REQUEST'],
  ])('sizes that do not fit are refused: %s', async (_, tensor, code) => {
    const { body, headers } = binary({ inputs: [tensor] });
    const response = await post(INFER, body, headers);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, code]);
  });
});

describe('what is wrong gets a coded 4xx that says what was expected', () => {
  test.each<[string, string, unknown, number, string, RegExp]>([
    ['unknown model', '/v2/models/nope/infer', { inputs: [input] }, 404, 'INFERENCE_MODEL_UNKNOWN', /nope/],
    ['impossible model', '/v2/models/..%2F/infer', { inputs: [input] }, 404, 'INFERENCE_MODEL_UNKNOWN', /model/],
    ['unknown version', '/v2/models/affine/versions/9/infer', { inputs: [input] }, 404, 'INFERENCE_VERSION_UNKNOWN', /1, 2/],
    ['no version at all', '/v2/models/affine/versions/x/infer', { inputs: [input] }, 404, 'INFERENCE_VERSION_UNKNOWN', /1, 2, 3/],
    ['not JSON', INFER, '{"inputs":', 400, 'SERVE_BODY', /JSON/],
    ['empty', INFER, '', 400, 'SERVE_BODY', /empty/],
    ['not an object', INFER, [], 400, 'SERVE_REQUEST', /object/],
    ['no inputs', INFER, {}, 400, 'SERVE_REQUEST', /inputs must be an array/],
    ['missing input', INFER, { inputs: [] }, 400, 'TENSOR_MISSING', /FP32 \[-1,4\]/],
    ['empty batch', INFER, { inputs: [{ ...input, shape: [0, 4], data: [] }] }, 400, 'TENSOR_EMPTY', /\[0,4\]/],
    ['unnamed input', INFER, { inputs: [{ ...input, name: '' }] }, 400, 'SERVE_REQUEST', /inputs\[0\].name/],
    ['wrong name', INFER, { inputs: [{ ...input, name: 'z' }] }, 400, 'TENSOR_UNKNOWN', /x FP32/],
    ['name of an ancestor', INFER, { inputs: [{ ...input, name: '__proto__' }] }, 400, 'TENSOR_UNKNOWN', /__proto__/],
    ['name given twice', INFER, { inputs: [input, input] }, 400, 'SERVE_REQUEST', /twice/],
    ['wrong datatype', INFER, { inputs: [{ ...input, datatype: 'INT32' }] }, 400, 'TENSOR_DATATYPE', /FP32/],
    ['no datatype', INFER, { inputs: [{ ...input, datatype: 'float' }] }, 400, 'SERVE_REQUEST', /FP32/],
    ['wrong shape', INFER, { inputs: [{ ...input, shape: [4] }] }, 400, 'TENSOR_SHAPE', /\[-1,4\]/],
    ['negative shape', INFER, { inputs: [{ ...input, shape: [-1, 4] }] }, 400, 'TENSOR_SHAPE', /whole number/],
    ['datatype left out', INFER, { inputs: [{ ...input, datatype: undefined }] }, 400, 'SERVE_REQUEST', /it is missing/],
    ['null among numbers', INFER, { inputs: [{ ...input, data: [1, 2, 3, null] }] }, 400, 'TENSOR_DATA', /element 3 is null/],
    ['NaN as a word outside of tensors', INFER, '{"parameters":{"priority":NaN}}', 400, 'SERVE_REQUEST', /priority/],
    ['half of a surrogate pair', INFER, '{"id":"\\ud800"}', 400, 'SERVE_BODY', /surrogate/],
    [
      'binary data without the length of the JSON',
      INFER,
      '{"inputs":[{"parameters":{"binary_data_size":2}}]}xx',
      400,
      'SERVE_BODY',
      /Inference-Header-Content-Length/,
    ],
    ['too few elements', INFER, { inputs: [{ ...input, data: [1] }] }, 400, 'TENSOR_DATA', /4 elements/],
    ['a word among numbers', INFER, { inputs: [{ ...input, data: [1, 'a', 3, 4] }] }, 400, 'TENSOR_DATA', /element 1/],
    ['no data', INFER, { inputs: [{ ...input, data: undefined }] }, 400, 'TENSOR_DATA', /array/],
    ['unknown output', INFER, { inputs: [input], outputs: [{ name: 'q' }] }, 400, 'INFERENCE_OUTPUT_UNKNOWN', /y/],
    ['unknown path', '/v3/models', {}, 404, 'SERVE_PATH_UNKNOWN', /v3/],
    ['wrong method', '/v2/models/affine', {}, 405, 'SERVE_METHOD', /GET/],
    ['too large', INFER, 'x'.repeat(1024 * 1024 + 1), 413, 'INPUT_TOO_LARGE', /1048576/],
  ])('%s', async (_, url, body, status, code, message) => {
    const response = await post(url, body);
    const answer = (await response.json()) as { error: string; code: string; action: string };
    expect([response.status, answer.code]).toEqual([status, code]);
    expect(answer.error).toMatch(message);
    expect(answer.action).not.toBe('');
    expect((await post(INFER, { inputs: [input] })).status, 'and the next one is served').toBe(200);
  });

  test('an error of the runtime itself keeps its message', async () => {
    const spec = await writeServable(tableModel(), {
      model: 'table',
      inputs: [{ name: 'index', datatype: 'INT64', shape: [-1] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
      samples: [{ inputs: { index: { datatype: 'INT64', shape: [1], data: new Uint8Array(8) } }, outputs: { y: fp32([1], [10]) } }],
    });
    await runtime.load(spec);
    const response = await post('/v2/models/table/versions/1/infer', {
      inputs: [{ name: 'index', datatype: 'INT64', shape: [1], data: [99] }],
    });
    const answer = (await response.json()) as { code: string; error: string };
    expect(answer.code).toBe('INFERENCE_INPUT_REFUSED');
    expect(answer.error).toMatch(/Gather/);
    await runtime.unload(spec.model, spec.version);
  });

  test('a compressed body', async () => {
    const send = async (body: Uint8Array, coding: string) => {
      const response = await post(INFER, body, { 'Content-Encoding': coding });
      return [response.status, await response.json()];
    };
    const bytes = Buffer.from(JSON.stringify({ inputs: [input] }));
    const answer = [200, { outputs: [{ data: [3, 5, 7, 9] }] }];
    expect(await send(gzipSync(bytes), 'gzip')).toMatchObject(answer);
    expect(await send(deflateSync(bytes), 'deflate')).toMatchObject(answer);
    expect(await send(deflateRawSync(bytes), 'deflate')).toMatchObject(answer);
    expect(await send(gzipSync(bytes), 'gzip, deflate')).toMatchObject([415, { code: 'SERVE_ENCODING' }]);
    expect(await send(gzipSync(bytes).subarray(0, 60), 'gzip')).toMatchObject([400, { code: 'SERVE_BODY' }]);
    // A megabyte and a bit of spaces, in a thousand bytes.
    expect(await send(gzipSync(Buffer.alloc(1_100_000, 32)), 'gzip')).toMatchObject([413, { code: 'INPUT_TOO_LARGE' }]);
  });

  test('a prediction in the coding that the client prefers', async () => {
    const ask = async (accepted: string) => {
      const response = await post(INFER, { inputs: [input] }, { 'Accept-Encoding': accepted });
      return [response.headers.get('content-encoding'), await response.json()];
    };
    const body = { outputs: [{ data: [3, 5, 7, 9] }] };
    expect(await ask('gzip;q=0.5, deflate')).toMatchObject(['deflate', body]);
    expect(await ask('gzip, deflate')).toMatchObject(['gzip', body]);
    expect(await ask('gzip;q=0.1, identity;q=0.5, *')).toMatchObject([null, body]);
    const refused = await post(INFER, { inputs: [] }, { 'Accept-Encoding': 'gzip' });
    expect([refused.status, refused.headers.get('content-encoding')]).toEqual([400, null]);
  });

  test('a method that is not allowed names those that are', async () => {
    const response = await fetch(`${base}/v2`, { method: 'DELETE' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

describe('connections', () => {
  test('what is not HTTP, and what never ends, is answered and closed', async () => {
    const quick = await serve({ requestTimeout: 200 });
    const send = (to: InferenceServer, text: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = net.connect(to.address.tcp?.port ?? 0, '127.0.0.1', () => socket.write(text));
        let got = '';
        socket.setEncoding('utf8').on('data', (part: string) => (got += part));
        socket.once('close', () => resolve(got));
        socket.once('error', reject);
      });
    expect(await send(server, 'HELLO\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*SERVE_HTTP/s);
    expect(await send(quick, `POST ${INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"inputs"`)).toMatch(
      /^HTTP\/1.1 408 .*SERVE_TIMEOUT/s,
    );
  });

  test('the Unix socket speaks the same, is closed to others, and replaces a stale one only', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-sock-'));
    const socketPath = path.join(folder, 'agent.sock');
    // A socket file left behind by a killed process: bound, then its owner's handle gone without unlinking.
    const dead = net.createServer();
    await new Promise<void>((resolve) => dead.listen(path.join(folder, 'was.sock'), resolve));
    await rename(path.join(folder, 'was.sock'), socketPath);
    await new Promise<void>((resolve) => dead.close(() => resolve()));

    const one = await serve({ unix: { path: socketPath } });
    expect(one.address.unix).toBe(socketPath);
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
    const answer = await new Promise<string>((resolve, reject) => {
      const request = http.request({ socketPath, path: INFER, method: 'POST' }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => resolve(text));
      });
      request.once('error', reject);
      request.end(JSON.stringify({ inputs: [input] }));
    });
    expect(JSON.parse(answer)).toMatchObject({ outputs: [{ data: [3, 5, 7, 9] }] });
    await expect(serve({ unix: { path: socketPath } })).rejects.toEqual(coded('SERVE_LISTEN_FAILED', 'another process'));
    const file = path.join(folder, 'file');
    await writeFile(file, 'precious');
    await expect(serve({ unix: { path: file } })).rejects.toEqual(coded('SERVE_LISTEN_FAILED', 'no socket'));
    await expect(serve({ tcp: { host: '127.0.0.1', port: one.address.tcp?.port ?? 0 } })).rejects.toEqual(coded('SERVE_LISTEN_FAILED'));
  });

  test('work of a client that has gone is not run', async () => {
    const sample = fp32([1, 4], [1, 2, 3, 4]);
    const spec = await writeServable(loopModel({ iterations: 3_000_000 }), {
      model: 'slow',
      samples: [{ inputs: { x: sample }, outputs: { y: sample } }],
    });
    await runtime.load(spec);
    const slow = post('/v2/models/slow/versions/1/infer', { inputs: [input] });
    const statusOf = () => runtime.list().find((status) => status.model === spec.model);
    await until('it runs', () => statusOf()?.inFlight === 1);
    const gone = new AbortController();
    const left = fetch(`${base}/v2/models/slow/versions/1/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [input] }),
      signal: gone.signal,
    });
    await until('the second waits', () => statusOf()?.inFlight === 2);
    gone.abort();
    await expect(left).rejects.toThrow('aborted');
    expect((await slow).status).toBe(200);
    await until('nothing is under way', () => statusOf()?.inFlight === 0);
    const counts = () => {
      const counted = recorder.totals().find((series) => series.target.model === spec.model);
      return [counted?.sums.of(ROWS.predictions), [...(counted?.sums.of(ROWS.errors) ?? [])]];
    };
    expect(counts()).toEqual([2, [['INFERENCE_ABANDONED', 1]]]);
    // One that goes while the model runs is counted at once, and the run goes on.
    const going = new AbortController();
    const running = fetch(`${base}/v2/models/slow/versions/1/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [input] }),
      signal: going.signal,
    });
    await until('the third runs', () => statusOf()?.inFlight === 1);
    going.abort();
    await expect(running).rejects.toThrow('aborted');
    await until('it is counted', () => JSON.stringify(counts()) === JSON.stringify([3, [['INFERENCE_ABANDONED', 2]]]));
    expect(statusOf()?.inFlight).toBe(1);
    await until('the run has ended', () => statusOf()?.inFlight === 0);
    await runtime.unload(spec.model, spec.version);
  });
});

test('health is answered at once while a large model loads and runs', async () => {
  const width = 1024;
  const x = fp32([1, width], new Float32Array(width));
  const spec = await writeServable(slowModel({ width, layers: 400 }), {
    model: 'large',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, width] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, width] }],
    samples: [{ inputs: { x }, outputs: { y: x } }],
  });
  let busy = true;
  const started = performance.now();
  const work = (async () => {
    await runtime.load(spec);
    const rows = fp32([64, width], new Float32Array(64 * width));
    for (let run = 0; run < 3; run++) await runtime.infer({ model: spec.model, version: spec.version, inputs: { x: rows } });
    busy = false;
  })();
  const times: number[] = [];
  await until(
    'the model is done',
    async () => {
      const began = performance.now();
      await (await fetch(`${base}/v2/health/live`)).arrayBuffer();
      times.push(performance.now() - began);
      return !busy;
    },
    { everyMs: 5 },
  );
  await work;
  const took = performance.now() - started;
  times.sort((a, b) => a - b);
  expect(times.length).toBeGreaterThan(20);
  expect(times[Math.floor(times.length * 0.5)]).toBeLessThan(took / 20);
});
