import { open, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import { openStandalone, type Standalone } from '#agent/standalone-app.js';
import { folderSource } from '#agent/standalone/source.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { writeFiles } from '../../kit/model-folder.js';
import { affineModel } from '../../kit/onnx-models.js';
import { RawConnection } from '../exchanges/raw-http.js';

const TENSORS = `input { name: "x" data_type: TYPE_FP32 dims: 4 }
  output { name: "y" data_type: TYPE_FP32 dims: [4] label_filename: "labels.txt" }`;

/** A segment of this test's own. */
const KEY = `/skerry-test-${process.pid}`;

let root = '';
let server: Standalone;

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'skerry-test-'));
  await writeFiles(root, {
    'plus/1/model.onnx': affineModel({ scale: 1, bias: 1 }),
    'plus/config.pbtxt': `max_batch_size: 8 ${TENSORS}`,
    'plus/labels.txt': 'cat\ndog\nbird\n',
    'spare/1/model.onnx': affineModel({ scale: 1, bias: 5 }),
  });
  server = await openStandalone({
    source: folderSource(root),
    control: 'explicit',
    load: ['plus'],
    serve: { unix: { path: path.join(root, 's') }, tcp: { host: '127.0.0.1', port: 0 }, closeGrace: 200, sharedMemory: true },
    inference: { isolation: 'thread' },
    logger: silentLogger,
  });
  await server.start();
  const segment = await open(`/dev/shm${KEY}`, 'w');
  await segment.write(Buffer.from(Float32Array.of(1, 2, 3, 4).buffer), 0, 16, 8);
  await segment.truncate(64);
  await segment.close();
});
afterAll(async () => {
  await server.close();
  await Promise.all([rm(root, { recursive: true, force: true }), rm(`/dev/shm${KEY}`, { force: true })]);
});

/** Asks over the Unix socket, whose users may do everything. */
async function ask(method: string, target: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
  const connection = await RawConnection.open({ path: path.join(root, 's') });
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body) ?? '');
  const answer = await connection.exchange({ method, path: target, headers, body_base64: bytes.toString('base64') }, 10_000);
  connection.close();
  const length = Number(answer?.headers['inference-header-content-length'] ?? answer?.body.byteLength);
  const text = answer?.body.toString('utf8', 0, length) ?? '';
  const json: unknown = text === '' ? undefined : JSON.parse(text);
  return { status: answer?.status, json, binary: answer?.body.subarray(length) };
}

const INFER = '/v2/models/plus/infer';
const x = { name: 'x', datatype: 'FP32', shape: [1, 4], data: [3, 1, 4, 1] };
const place = (offset: number, size: number, region = 'mine') => ({
  shared_memory_region: region,
  shared_memory_offset: offset,
  shared_memory_byte_size: size,
});

describe('a prediction', () => {
  test('classified: the largest values, each row by itself, with the names of classes that have one', async () => {
    const inputs = [{ ...x, shape: [2, 4], data: [3, 1, 4, 1, 0, 0, -1, 9] }];
    const outputs = [{ name: 'y', parameters: { classification: 3 } }];
    const data = ['5.000000:2:bird', '4.000000:0:cat', '2.000000:1:dog', '10.000000:3', '1.000000:0:cat', '1.000000:1:dog'];
    expect(await ask('POST', INFER, { inputs, outputs })).toMatchObject({
      json: { outputs: [{ name: 'y', datatype: 'BYTES', shape: [2, 3], data }] },
    });
  });

  test('from a body that is the only input, with the outputs as binary data', async () => {
    const bytes = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);
    const { json, binary } = await ask('POST', INFER, bytes, { 'Inference-Header-Content-Length': '0' });
    expect(json).toMatchObject({ outputs: [{ name: 'y', shape: [1, 4], parameters: { binary_data_size: 16 } }] });
    expect(binary).toEqual(Buffer.from(Float32Array.of(2, 3, 4, 5).buffer));
    const short = await ask('POST', INFER, bytes.subarray(1), { 'Inference-Header-Content-Length': '0' });
    expect(short).toMatchObject({ status: 400, json: { code: 'TENSOR_DATA' } });
  });

  test('with what belongs to sequences and priorities, which is checked and carried', async () => {
    const parameters = { sequence_id: 2 ** 63, sequence_start: true, priority: 2, mine: 'unknown' };
    expect(await ask('POST', INFER, { inputs: [x], parameters })).toMatchObject({ status: 200 });
    expect(await ask('POST', INFER, { inputs: [x], parameters: { sequence_id: 'a', sequence_end: true } })).toMatchObject({ status: 200 });
    for (const wrong of [{ sequence_id: -1 }, { sequence_id: 1.5 }, { sequence_start: 1 }, { priority: '1' }]) {
      expect(await ask('POST', INFER, { inputs: [x], parameters: wrong })).toMatchObject({ status: 400, json: { code: 'SERVE_REQUEST' } });
    }
  });

  test('through shared memory, within its region and no further', async () => {
    const base = '/v2/systemsharedmemory';
    expect(await ask('POST', `${base}/region/mine/register`, { key: KEY, offset: 8, byte_size: 56 })).toMatchObject({ status: 200 });
    expect(await ask('GET', `${base}/status`)).toMatchObject({ json: [{ name: 'mine', key: KEY, offset: 8, byte_size: 56 }] });
    const input = { name: 'x', datatype: 'FP32', shape: [1, 4], parameters: place(0, 16) };
    const written = await ask('POST', INFER, { inputs: [input], outputs: [{ name: 'y', parameters: place(32, 16) }] });
    expect(written.json).toMatchObject({ outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 4] }] });
    const again = await ask('POST', INFER, { inputs: [{ ...input, parameters: place(32, 16) }] });
    expect(again.json).toMatchObject({ outputs: [{ data: [3, 4, 5, 6] }] });
    const wrong = [
      { inputs: [{ ...input, parameters: place(48, 16) }] },
      { inputs: [{ ...input, data: [1, 2, 3, 4] }] },
      { inputs: [x], outputs: [{ name: 'y', parameters: place(0, 8) }] },
    ];
    for (const body of wrong) expect(await ask('POST', INFER, body)).toMatchObject({ status: 400 });
    const unknown = await ask('POST', INFER, { inputs: [{ ...input, parameters: place(0, 16, 'other') }] });
    expect(unknown).toMatchObject({ status: 404, json: { code: 'SERVE_SHARED_MEMORY_UNKNOWN' } });
    // A request may name one region many times; what it takes together is bounded before any of it is read.
    await truncate(`/dev/shm${KEY}`, 2 ** 30);
    expect(await ask('POST', `${base}/region/large/register`, { key: KEY, offset: 0, byte_size: 2 ** 30 })).toMatchObject({ status: 200 });
    const large = ['x', 'z'].map((name) => ({ ...input, name, shape: [2 ** 24, 4], parameters: place(0, 2 ** 28 + name.length, 'large') }));
    expect(await ask('POST', INFER, { inputs: large })).toMatchObject({ status: 413, json: { code: 'INPUT_TOO_LARGE' } });
    expect(await ask('POST', `${base}/unregister`)).toMatchObject({ status: 200 });
    expect(await ask('GET', `${base}/region/mine/status`)).toMatchObject({ status: 404 });
  });

  test.each(['/../../etc/passwd', '..', '/a/b', `${KEY}-missing`])('from no segment called %s', async (key) => {
    const answer = await ask('POST', '/v2/systemsharedmemory/region/other/register', { key, offset: 0, byte_size: 1 });
    expect(answer).toMatchObject({ status: 400, json: { code: 'SERVE_SHARED_MEMORY' } });
  });
});

describe('the repository', () => {
  test('lists, loads with files of the request, and unloads', async () => {
    const index = async () => (await ask('POST', '/v2/repository/index', {})).json;
    expect(await index()).toMatchObject([{ name: 'plus', version: '1', state: 'READY' }, { name: 'spare' }]);
    const made = {
      config: JSON.stringify({ backend: 'onnxruntime' }),
      // Longer than what a string of a request may be elsewhere.
      'file:1/model.onnx': Buffer.from(affineModel({ scale: 1, bias: 7 })).toString('base64'),
      'file:notes.txt': Buffer.alloc(2 * 1024 * 1024).toString('base64'),
    };
    expect(await ask('POST', '/v2/repository/models/made/load', { parameters: made })).toMatchObject({ status: 200, json: undefined });
    const inferred = await ask('POST', '/v2/models/made/infer', { inputs: [x] });
    expect(inferred.json).toMatchObject({ outputs: [{ data: [10, 8, 11, 8] }] });
    expect(await ask('POST', '/v2/repository/models/made/unload')).toMatchObject({ status: 200 });
    expect(await ask('POST', '/v2/repository/models/nowhere/load')).toMatchObject({ status: 404 });
    const damaged = { parameters: { ...made, 'file:1/model.onnx': 'AAAA*AAA' } };
    expect(await ask('POST', '/v2/repository/models/made/load', damaged)).toMatchObject({ status: 400, json: { code: 'SERVE_REQUEST' } });
  });

  test('tells the configuration of a model', async () => {
    expect((await ask('GET', '/v2/models/plus/config')).json).toMatchObject({ name: 'plus', max_batch_size: 8 });
  });
});

describe('settings', () => {
  test('of the log are changed as a whole or not at all, and not over TCP', async () => {
    expect(await ask('POST', '/v2/logging', { log_info: false, log_verbose_level: 1 })).toMatchObject({
      json: { log_info: false, log_verbose_level: 1, log_warning: true },
    });
    expect(await ask('POST', '/v2/logging', { log_info: true, nosuch: 1 })).toMatchObject({ status: 400, json: { code: 'SERVE_SETTING' } });
    expect(await ask('GET', '/v2/logging')).toMatchObject({ json: { log_info: false } });
    const tcp = await fetch(`http://127.0.0.1:${server.address.tcp?.port}/v2/logging`, { method: 'POST', body: '{}' });
    expect(tcp.status).toBeGreaterThanOrEqual(401);
  });

  test('of traces hold for all models, or for one', async () => {
    await ask('POST', '/v2/trace/setting', { trace_rate: '500' });
    expect(await ask('POST', '/v2/models/plus/trace/setting', { trace_count: '3' })).toMatchObject({
      json: { trace_rate: '500', trace_count: '3', trace_level: ['OFF'] },
    });
    expect(await ask('POST', '/v2/trace/setting', { trace_rate: null })).toMatchObject({ json: { trace_rate: '1000', trace_count: '-1' } });
    for (const wrong of [{ trace_level: ['TIMESTAMPS'] }, { trace_rate: '-5' }, { trace_rate: 5 }, { toString: '1' }]) {
      expect(await ask('POST', '/v2/trace/setting', wrong)).toMatchObject({ status: 400 });
    }
  });
});
