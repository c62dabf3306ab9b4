import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OIP } from '#agent/serve/dialects/oip/oip.js';
import { connect } from '#shared/client/connect.js';
import type { Client } from '#shared/client/client.js';
import { ONNX_TYPES } from '../../kit/onnx-proto.js';
import { logModel, loopModel, textModel, tokenModel } from '../../kit/onnx-models.js';
import { coded } from '../../kit/coded.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';

// The client against a real server, over every carrier, and against servers that answer badly.

let server: ModelServer;
let folder = '';
const clients = new Map<string, Client>();

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-client-'));
  const socket = path.join(folder, 'api?#%.sock');
  server = await startModelServer({
    dialects: [OIP],
    models: {
      token: tokenModel({ offset: 1 }),
      half: logModel({ type: ONNX_TYPES.FLOAT16 }),
      text: textModel(),
      slow: loopModel({ iterations: 1_000_000 }),
    },
    config: { unix: { path: socket }, grpc: { host: '127.0.0.1', port: 0 } },
  });
  clients.set('grpc', await connect(server.grpc));
  clients.set('http', await connect(server.base));
  clients.set('unix', await connect(`unix:${socket}`));
});
afterAll(async () => {
  for (const client of clients.values()) client.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const carriers = ['http', 'unix', 'grpc'];

function over(carrier: string): Client {
  const client = clients.get(carrier);
  if (client === undefined) throw new Error(`no client over ${carrier}`);
  return client;
}

describe.each(carriers)('over %s', (carrier) => {
  test('typed arrays go in and come out', async () => {
    const client = over(carrier);
    const token = await client.infer('token', { x: BigInt64Array.of(2n ** 60n, -1n) }, { id: 'a' });
    expect([token.id, token.model, token.version]).toEqual(['a', 'token', '1']);
    expect(token.values('token', 'INT64')).toEqual(BigInt64Array.of(2n ** 60n + 1n, 0n));
    const text = await client.infer('text', { text: ['ä', Buffer.from('b')] });
    expect(text.values('answer', 'BYTES')).toEqual(['ä', 'b']);
    const half = await client.infer('half', { x: { datatype: 'FP16', data: Float32Array.of(1, 2.5) } }, { outputs: ['y'] });
    expect(half.outputs.map(({ name, datatype, shape }) => [name, datatype, shape])).toEqual([['y', 'FP16', [2]]]);
    expect(half.output('y').values).toEqual(Float32Array.of(1, 2.5));
    expect(() => half.values('y', 'FP32')).toThrow(coded('TENSOR_DATATYPE'));
    expect(() => half.output('z')).toThrow(coded('TENSOR_UNKNOWN', /it has y/));
    const list = await client.infer('token', { x: { datatype: 'INT64', shape: [3], data: [1, 2n, '9007199254740993'] } });
    expect(list.values('token', 'INT64')).toEqual(BigInt64Array.of(2n, 3n, 2n ** 53n + 2n));
    const raw = await client.infer('half', { x: half.output('y') });
    expect(Buffer.from(raw.output('y').data)).toEqual(Buffer.from(half.output('y').data));
  });

  test('what the server knows', async () => {
    const client = over(carrier);
    expect([await client.live(), await client.ready(), await client.ready({ model: 'token', version: '1' })]).toEqual([true, true, true]);
    expect(await client.ready({ model: 'none' })).toBe(false);
    expect((await client.server()).extensions).toContain('binary_tensor_data');
    expect(await client.metadata('token')).toMatchObject({
      name: 'token',
      versions: ['1'],
      inputs: [{ name: 'x', datatype: 'INT64', shape: [-1] }],
    });
    const [statistics] = await client.statistics({ model: 'token' });
    expect(statistics?.inferences).toBeGreaterThan(0);
    expect(statistics?.durations['success']?.count).toBeGreaterThan(0);
  });

  test("errors have the server's code", async () => {
    const client = over(carrier);
    await expect(client.infer('none', { x: Float32Array.of(1) })).rejects.toThrow(coded('INFERENCE_MODEL_UNKNOWN'));
    await expect(client.infer('token', { x: Float32Array.of(1) })).rejects.toThrow(coded('TENSOR_DATATYPE'));
    await expect(client.infer('token', { y: BigInt64Array.of(1n) })).rejects.toThrow(coded('TENSOR_UNKNOWN'));
  });

  test('a call ends at its time, and when its caller wants', async () => {
    const client = over(carrier);
    const x = { shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) };
    await expect(client.infer('slow', { x }, { timeout: 50 })).rejects.toThrow(coded('INFERENCE_TIMEOUT_SHORT'));
    const cancel = new AbortController();
    const answer = client.infer('slow', { x }, { signal: cancel.signal });
    cancel.abort();
    await expect(answer).rejects.toThrow(coded('ABORTED'));
    await expect(client.server({ signal: AbortSignal.abort() })).rejects.toThrow(coded('ABORTED'));
  });
});

test('feedback counts for the version that answered', async () => {
  const client = over('http');
  await client.infer('token', { x: BigInt64Array.of(1n) }, { id: 'judged' });
  expect(await client.feedback('token', { id: 'judged', correct: true })).toBe('1');
  await expect(client.feedback('token', { id: 'judged' })).rejects.toThrow(coded('SERVE_REQUEST'));
});

test('gRPC is told what it does not have, and which server is not there', async () => {
  await expect(over('grpc').feedback('token', { id: 'judged', correct: true })).rejects.toThrow(coded('CLIENT_UNSUPPORTED'));
  const gone = await connect('grpc://127.0.0.1:1', { retries: 0 });
  expect(await gone.live()).toBe(false);
  gone.close();
});

describe('a server that misbehaves', () => {
  type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

  /** A client of a server whose requests meet these behaviours in turn, the last one again and again. */
  async function against(behaviours: readonly Behaviour[], call: (client: Client) => Promise<void>): Promise<number> {
    let requests = 0;
    const scripted = createServer((request, response) => {
      const behave = behaviours[Math.min(requests, behaviours.length - 1)];
      requests++;
      request.resume();
      request.once('end', () => behave?.(request, response));
    });
    await new Promise<void>((resolve) => scripted.listen(0, '127.0.0.1', resolve));
    const { port } = scripted.address() as AddressInfo;
    const client = await connect(`http://127.0.0.1:${port}`, { maxAnswerBytes: 4096 });
    try {
      await call(client);
    } finally {
      client.close();
      scripted.closeAllConnections();
      await new Promise((resolve) => scripted.close(resolve));
    }
    return requests;
  }

  const busy: Behaviour = (_, response) => response.writeHead(503, { 'retry-after': '0' }).end('{"error":"later"}');
  const broken: Behaviour = (_, response) => response.writeHead(500).end('{"error":{"message":"bad"}}');
  const dies: Behaviour = (request) => request.socket.destroy();
  const answers: Behaviour = (_, response) =>
    response.end('{"model_name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[1.5]}]}');

  const infer = async (client: Client): Promise<void> => {
    expect((await client.infer('m', { x: Float32Array.of(1) })).values('y', 'FP32')).toEqual(Float32Array.of(1.5));
  };
  const fails = (code: Parameters<typeof coded>[0], call: (client: Client) => Promise<unknown> = infer) => {
    return async (client: Client): Promise<void> => expect(call(client)).rejects.toThrow(coded(code));
  };
  const load = (client: Client): Promise<void> => client.load('m');
  const twice = async (client: Client): Promise<void> => {
    await infer(client);
    await infer(client);
  };
  const thenLoad = async (client: Client): Promise<void> => {
    await infer(client);
    await load(client);
  };

  test.each<[string, readonly Behaviour[], (client: Client) => Promise<void>, number]>([
    ['one that puts off is asked again', [busy, answers], infer, 2],
    ['also to load', [busy, answers], load, 2],
    ['but not for ever', [busy], fails('CLIENT_REFUSED'), 3],
    ['an error is not asked about again', [broken], fails('CLIENT_REFUSED'), 1],
    ['a lost connection is not replaced: the request may have been the reason', [dies, answers], fails('CLIENT_CONNECTION_LOST'), 1],
    ['one that was idle is', [answers, dies, answers], twice, 3],
    ['but not to load twice', [answers, dies, answers], fails('CLIENT_CONNECTION_LOST', thenLoad), 2],
    ['an answer that is too large', [(_, response) => response.end('x'.repeat(5000))], fails('CLIENT_ANSWER'), 1],
    ['an answer that is not JSON', [(_, response) => response.end('<p>')], fails('CLIENT_ANSWER'), 1],
    ['an answer of another form', [(_, response) => response.end('{"outputs":1}')], fails('CLIENT_ANSWER'), 1],
    [
      'an answer that ends early',
      [
        (_, response) => {
          response.writeHead(200, { 'content-length': 100 }).write('{');
          response.socket?.end();
        },
      ],
      fails('CLIENT_CONNECTION_LOST'),
      1,
    ],
    [
      'tensors that end early',
      [
        (_, response) => {
          const head = '{"model_name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}';
          response.setHeader('inference-header-content-length', head.length).end(head);
        },
      ],
      fails('CLIENT_ANSWER'),
      1,
    ],
    ['no answer', [() => undefined], fails('TIMEOUT', (client) => client.server({ timeout: 30 })), 1],
  ])('%s', async (_, behaviours, call, requests) => {
    expect(await against(behaviours, call)).toBe(requests);
  });

  test('none at all', async () => {
    const gone = await connect('http://127.0.0.1:1', { retries: 1 });
    expect([await gone.live(), await gone.ready({ model: 'm' })]).toEqual([false, false]);
    await expect(gone.server()).rejects.toThrow(coded('CLIENT_UNREACHABLE'));
  });

  test.each(['', 'localhost:8000', 'ftp://a', 'unix:'])('%j is no address', async (address) => {
    await expect(connect(address)).rejects.toThrow(coded('CLIENT_ADDRESS'));
  });
});

test.each<[string, Parameters<Client['infer']>[1], Parameters<typeof coded>[0]]>([
  ['a list of numbers without a datatype', { x: [1, 2] }, 'TENSOR_DATATYPE'],
  ['elements of another type', { x: { datatype: 'INT64', data: Float32Array.of(1) } }, 'TENSOR_DATATYPE'],
  ['too few', { x: { shape: [3], data: Float32Array.of(1) } }, 'TENSOR_DATA'],
  ['a number that does not fit', { x: { datatype: 'INT8', data: [300] } }, 'TENSOR_DATA'],
  ['bytes for numbers', { x: { datatype: 'FP32', data: [Buffer.from('a')] } }, 'TENSOR_DATATYPE'],
])('%s is refused before anything is sent', async (_, inputs, code) => {
  await expect(over('http').infer('token', inputs)).rejects.toThrow(coded(code));
});
