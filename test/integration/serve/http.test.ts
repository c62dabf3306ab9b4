import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import type { ServeConfig } from '#agent/serve/config.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { affineModel } from '../../kit/onnx-models.js';
import { memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';
import { until } from '../../kit/until.js';

// HTTP as clients, proxies and scripts really speak it, byte by byte.

let runtime: InferenceRuntime;
let server: InferenceServer;
const closing: InferenceServer[] = [];

async function serve(config: Partial<ServeConfig> = {}): Promise<InferenceServer> {
  const made = await createInferenceServer({
    dataPlane: runtime,
    feedback: new MetricsRecorder(),
    requests: new RequestCounts(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 }, closeGrace: 200, bodyLimit: 4096, ...config },
  });
  await made.start();
  closing.push(made);
  return made;
}

beforeAll(async () => {
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder: new MetricsRecorder(), logger: silentLogger });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  runtime.route(modelName('affine'), versionNumber(1));
  server = await serve();
});
afterAll(async () => {
  await Promise.all(closing.map((one) => one.close()));
  await runtime.close();
});

const INFER = '/v2/models/affine/infer';
const BODY = JSON.stringify({ inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] });

interface Talk {
  readonly socket: net.Socket;
  /** What the server sent until now. */
  got(): string;
  readonly closed: Promise<string>;
}

function talk(text: string | Uint8Array, to = server): Talk {
  const socket = net.connect(to.address.tcp?.port ?? 0, '127.0.0.1', () => socket.write(text));
  let got = '';
  socket.setEncoding('utf8').on('data', (part: string) => (got += part));
  socket.on('error', () => undefined);
  return { socket, got: () => got, closed: new Promise((resolve) => socket.once('close', () => resolve(got))) };
}

/** Sends and reads until the server closes. */
const said = (text: string | Uint8Array, to = server): Promise<string> => talk(text, to).closed;

/** A request whose connection closes after its answer. */
function request(line: string, headers: Readonly<Record<string, string>> = {}, body: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.from(body);
  const all = {
    host: 'localhost',
    connection: 'close',
    ...(bytes.byteLength > 0 && { 'content-length': String(bytes.byteLength) }),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${head.join('')}\r\n`), bytes]);
}

describe('what other clients write is understood', () => {
  test.each<[string, string, Record<string, string>, string | Uint8Array]>([
    ['Content-Encoding: Identity', INFER, { 'content-encoding': 'Identity' }, BODY],
    ['an empty Content-Encoding', INFER, { 'content-encoding': '' }, BODY],
    ['a list of no codings', INFER, { 'content-encoding': 'identity, IDENTITY' }, BODY],
    ['an absolute URL', `http://device:80${INFER}`, {}, BODY],
    ['an absolute URL in capitals, with a query', `HTTP://user@[::1]:7490${INFER}?a=/b`, {}, BODY],
    ['a byte order mark', INFER, {}, `\ufeff${BODY}`],
    ['a slash at the end', `${INFER}/`, {}, BODY],
    ['a percent-encoded name', '/v2/models/%61ff%69ne/infer', {}, BODY],
    ['a percent-encoded path', '/v2/%6dodels/affine/versions/%31/%69nfer/', {}, BODY],
    ['a query', `${INFER}?x=1`, {}, BODY],
    ['an upgrade to HTTP/2 that may be ignored', INFER, { connection: 'Upgrade, HTTP2-Settings, close', upgrade: 'h2c' }, BODY],
    ['any content type', INFER, { 'content-type': 'application/x-www-form-urlencoded' }, BODY],
  ])('%s', async (_, path, headers, body) => {
    expect(await said(request(`POST ${path}`, headers, body))).toMatch(/^HTTP\/1.1 200 OK.*"data":\[3,5,7,9\]/s);
  });

  test.each(['/v2/', '/v2/health/live/', '/v2/health/ready/', '/v2/models/affine/', 'http://device/v2'])('GET %s', async (path) => {
    expect(await said(request(`GET ${path}`))).toMatch(/^HTTP\/1.1 200 OK/);
  });

  test('a byte order mark before binary tensors counts as part of the header', async () => {
    const document = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], parameters: { binary_data_size: 16 } }] };
    const head = Buffer.from(`\ufeff${JSON.stringify(document)}`);
    const body = Buffer.concat([head, Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)]);
    const answer = await said(request(`POST ${INFER}`, { 'inference-header-content-length': String(head.byteLength) }, body));
    expect(answer).toMatch(/^HTTP\/1.1 200 OK.*"data":\[3,5,7,9\]/s);
  });

  test('chunked, pipelined and HTTP/1.0 requests', async () => {
    const chunks = BODY.match(/.{1,7}/gs)?.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`) ?? [];
    const chunked = `POST ${INFER} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
    expect(await said(chunked)).toMatch(/^HTTP\/1.1 200 OK/);
    expect(await said(`POST ${INFER} HTTP/1.0\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`)).toMatch(/^HTTP\/1.1 200 OK/);
    const one = request(`POST ${INFER}`, { connection: 'keep-alive' }, BODY);
    const many = await said(Buffer.concat([one, one, request(`POST ${INFER}`, {}, BODY)]));
    expect(many.match(/HTTP\/1.1 200 OK/g)).toHaveLength(3);
  });

  test('a client that asks first is told to go on, or refused before it sends', async () => {
    const asks = { expect: '100-Continue', 'content-length': String(BODY.length) };
    const good = talk(request(`POST ${INFER}`, asks));
    await until('it may send', () => good.got().startsWith('HTTP/1.1 100 Continue'));
    good.socket.write(BODY);
    expect(await good.closed).toMatch(/HTTP\/1.1 200 OK/);
    for (const [path, length, status] of [
      [INFER, '99999999', 413],
      ['/nowhere', '10', 404],
    ] as const) {
      const answer = await said(request(`POST ${path}`, { ...asks, connection: 'keep-alive', 'content-length': length }));
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} .*connection: close.*"code"`, 'is'));
    }
  });
});

describe('every error is JSON of our form', () => {
  const get = 'GET /v2 HTTP/1.1\r\n';
  test.each<[string, string | Uint8Array, number, string]>([
    ['no HTTP at all', 'HELLO\r\n\r\n', 400, 'SERVE_HTTP'],
    ['no Host header', `${get}connection: close\r\n\r\n`, 400, 'SERVE_HTTP'],
    ['an unknown method', request('BREW /v2'), 400, 'SERVE_HTTP'],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'SERVE_HTTP'],
    ['a tunnel', 'CONNECT example.org:443 HTTP/1.1\r\nhost: localhost\r\n\r\n', 405, 'SERVE_METHOD'],
    ['headers too large', request('GET /v2', { cookie: 'a'.repeat(20_000) }), 431, 'SERVE_HEADERS_TOO_LARGE'],
    ['a path too long', request(`GET /${'a'.repeat(20_000)}`), 431, 'SERVE_HEADERS_TOO_LARGE'],
    ['two lengths', `${get}host: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400, 'SERVE_HTTP'],
    [
      'a chunk that is none',
      `POST ${INFER} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n`,
      400,
      'SERVE_HTTP',
    ],
    ['another expectation', request('GET /v2', { expect: '200-maybe' }), 417, 'SERVE_EXPECTATION'],
    ['a body in an unknown coding', request(`POST ${INFER}`, { 'content-encoding': 'br' }, 'x'), 415, 'SERVE_ENCODING'],
    ['a body that is not what its coding says', request(`POST ${INFER}`, { 'content-encoding': 'gzip' }, 'x'), 400, 'SERVE_BODY'],
    ['a body coded on its way', request(`POST ${INFER}`, { 'content-encoding': 'identity, br' }, 'x'), 415, 'SERVE_ENCODING'],
    ['a body too large', request(`POST ${INFER}`, {}, 'x'.repeat(5_000)), 413, 'INPUT_TOO_LARGE'],
    ['a method that is not for this path', request('OPTIONS /v2'), 405, 'SERVE_METHOD'],
    ['an asterisk', request('OPTIONS *'), 404, 'SERVE_PATH_UNKNOWN'],
    ['a broken escape', request('GET /v2/models/%E0%A4%A'), 404, 'SERVE_PATH_UNKNOWN'],
    ['an unknown path in absolute form', request('GET http://a/nowhere'), 404, 'SERVE_PATH_UNKNOWN'],
  ])('%s', async (_, text, status, code) => {
    const answer = await said(text);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*content-type: application/json`));
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<string, unknown>;
    expect([body['code'], body['fault'], typeof body['error'], typeof body['action']]).toEqual([code, 'caller', 'string', 'string']);
  });

  test('a method that is not for a path names those that are', async () => {
    expect(await said(request('OPTIONS /v2/'))).toMatch(/allow: GET, HEAD/);
  });

  test('HEAD gets the status and the length, and no body', async () => {
    expect(await said(request('HEAD /v2/models/nix/ready'))).toMatch(/^HTTP\/1.1 404 [^]*content-length: \d+\r\n[^]*\r\n\r\n$/);
  });

  test('what cannot be read behind a request does not get in the way of its answer', async () => {
    const good = request(`POST ${INFER}`, { connection: 'keep-alive' }, BODY);
    expect(await said(Buffer.concat([good, good, Buffer.from('HELLO\r\n\r\n')]))).toMatch(
      /^HTTP\/1.1 200 [^]*}HTTP\/1.1 200 [^]*}HTTP\/1.1 400 /,
    );
  });

  test('an early answer keeps the connection where the rest of the body is small', async () => {
    const refused = request('POST /nowhere', { connection: 'keep-alive' }, BODY);
    const both = await said(Buffer.concat([refused, request('GET /v2')]));
    expect(both).toMatch(/^HTTP\/1.1 404 [^]*HTTP\/1.1 200 OK/);
  });

  test('the answer to a body far too large is read by a client that sends all of it first', async () => {
    const large = request(`POST ${INFER}`, { connection: 'keep-alive' }, new Uint8Array(8 * 1024 * 1024));
    expect(await said(large)).toMatch(/^HTTP\/1.1 413 [^]*connection: close[^]*INPUT_TOO_LARGE/i);
  });
});

test.each([
  ['the answer 408', 'content-length: 4000\r\n\r\n{"inputs":', /^HTTP\/1.1 408 [^]*SERVE_TIMEOUT/],
  ['the answer 413', 'content-length: 9999999999\r\n\r\n{"inputs":', /^HTTP\/1.1 413 [^]*INPUT_TOO_LARGE/],
  ['the answer 413 to a little too much', 'content-length: 5000\r\n\r\n{"inputs":', /^HTTP\/1.1 413 [^]*INPUT_TOO_LARGE/],
  ['the answer 400', 'transfer-encoding: chunked\r\n\r\nzz\r\n', /^HTTP\/1.1 400 [^]*SERVE_HTTP/],
])('a client that ignores %s and goes on sending is cut off for good, and a new connection is served', async (_, rest, expected) => {
  const quick = await serve({ requestTimeout: 200 });
  const { socket, closed } = talk(`POST ${INFER} HTTP/1.1\r\nhost: localhost\r\n${rest}`, quick);
  const drip = setInterval(() => socket.write(' '), 20);
  const answer = await closed;
  clearInterval(drip);
  expect(answer).toMatch(expected);
  expect(answer.match(/HTTP\/1.1/g), 'one answer').toHaveLength(1);
  expect(await said(request(`POST ${INFER}`, {}, BODY), quick)).toMatch(/^HTTP\/1.1 200 OK/);
});
