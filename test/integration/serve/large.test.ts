import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { bytesOf } from '#shared/tensor/elements.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { affineModel, expandModel, labelModel, textModel } from '../../kit/onnx-models.js';
import { fp32, memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';
import { until } from '../../kit/until.js';

// What is large in a request or an answer must not keep others waiting; what strings the runtime would alter are refused.

let runtime: InferenceRuntime;
const recorder = new MetricsRecorder();
let server: InferenceServer;
let base: string;

const ELEMENTS = 1_000_000;
const texts = (...values: readonly (string | Uint8Array)[]): Tensor => ({
  datatype: 'BYTES',
  shape: [values.length],
  data: joinBytesElements(values.map((value) => Buffer.from(value))),
});

beforeAll(async () => {
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  runtime.route(modelName('affine'), versionNumber(1));
  await runtime.load(
    await writeServable(expandModel(), {
      model: 'expand',
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1] },
        { name: 'shape', datatype: 'INT64', shape: [2] },
      ],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, -1] }],
      samples: [
        {
          inputs: { x: fp32([1], [0.5]), shape: { datatype: 'INT64', shape: [2], data: bytesOf(BigInt64Array.of(1n, 2n)) } },
          outputs: { y: fp32([1, 2], [0.5, 0.5]) },
        },
      ],
    }),
  );
  runtime.route(modelName('expand'), versionNumber(1));
  await runtime.load(
    await writeServable(textModel(), {
      model: 'text',
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
      outputs: [{ name: 'answer', datatype: 'BYTES', shape: [-1] }],
      samples: [{ inputs: { text: texts('a', 'ä') }, outputs: { answer: texts('a', 'ä') } }],
      batching: { maxBatchSize: 4 },
    }),
  );
  runtime.route(modelName('text'), versionNumber(1));
  server = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests: new RequestCounts(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 }, closeGrace: 200, jsonElements: ELEMENTS },
  });
  await server.start();
  base = `http://127.0.0.1:${server.address.tcp?.port}`;
});
afterAll(async () => {
  await server.close();
  await runtime.close();
});

const ask = (model: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${base}/v2/models/${model}/infer`, {
    method: 'POST',
    headers,
    body: body instanceof Uint8Array ? Buffer.from(body) : typeof body === 'string' ? body : JSON.stringify(body),
  });

const expand = (rows: number, columns: number, value = 0.1234567) => [
  { name: 'x', datatype: 'FP32', shape: [1], data: [value] },
  { name: 'shape', datatype: 'INT64', shape: [2], data: [rows, columns] },
];

interface JsonReply {
  readonly code?: string;
  readonly error?: string;
  readonly outputs: readonly { readonly name: string; readonly data: readonly unknown[] }[];
}

/** Turns of the event loop while something is done; a long stretch of work leaves few. */
async function turnsDuring<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly turns: number }> {
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  try {
    return { result: await work(), turns };
  } finally {
    counting = false;
  }
}

describe('JSON of tensors is bounded by elements', () => {
  test('an answer of a million is exact, and written between other work', async () => {
    const { result: text, turns } = await turnsDuring(() =>
      ask('expand', { id: 'i', inputs: expand(1000, 1000) }).then((reply) => reply.text()),
    );
    expect(turns).toBeGreaterThan(20);
    const reply = JSON.parse(text) as JsonReply & { readonly id: string };
    expect(reply).toMatchObject({
      model_name: 'expand',
      model_version: '1',
      id: 'i',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [1000, 1000] }],
    });
    const data = reply.outputs[0]?.data ?? [];
    expect([data.length, data.every((value) => value === Math.fround(0.1234567))]).toEqual([ELEMENTS, true]);
  });

  test('one element more is 413 and says how to ask for binary data, which works', async () => {
    const large = { inputs: expand(1, ELEMENTS + 1) };
    const refused = await ask('expand', large);
    expect([refused.status, await refused.json()]).toEqual([
      413,
      expect.objectContaining({ code: 'SERVE_JSON_TOO_LARGE', error: expect.stringContaining('binary_data_output') as string }),
    ]);
    const binary = await ask('expand', { ...large, parameters: { binary_data_output: true } });
    expect([binary.status, (await binary.arrayBuffer()).byteLength > 4 * ELEMENTS]).toEqual([200, true]);
    const unwanted = await ask('expand', {
      inputs: expand(1, 3),
      outputs: [{ name: 'y' }, { name: 'y', parameters: { binary_data: true } }],
    });
    expect(unwanted.status, 'outputs both ways').toBe(200);
  });

  test('an answer that its declared outputs show to be too large is refused before the model runs', async () => {
    const spec = await writeServable(affineModel(), { model: 'rows', batching: { maxBatchSize: 1_000_000 } });
    await runtime.load(spec);
    runtime.route(spec.model, spec.version);
    const small = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }] };
    const rows = ELEMENTS / 4 + 1;
    const x = Buffer.alloc(rows * 16);
    const send = (parameters: object) => {
      const input = { name: 'x', datatype: 'FP32', shape: [rows, 4], parameters: { binary_data_size: x.byteLength } };
      const head = Buffer.from(JSON.stringify({ inputs: [input], parameters }));
      return ask('rows', Buffer.concat([head, x]), { 'Inference-Header-Content-Length': String(head.byteLength) });
    };
    recorder.take();
    const refused = await send({});
    expect([refused.status, await refused.json()]).toEqual([
      413,
      expect.objectContaining({ code: 'SERVE_JSON_TOO_LARGE', error: expect.stringContaining('"y" [250001,4]') as string }),
    ]);
    // Nothing ran: a run would have counted as an answer.
    const [window] = recorder.take();
    expect(window?.toWindow()).toMatchObject({ predictions: 1, errors: { SERVE_JSON_TOO_LARGE: 1 } });
    expect((await send({ binary_data_output: true })).status).toBe(200);
    expect((await ask('rows', small)).status).toBe(200);
    await runtime.unload(spec.model, spec.version);
  });

  test('a request beyond it is 413 and names the binary form', async () => {
    const data = Array.from({ length: 8 }, () => 1);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [ELEMENTS / 4 + 1, 4], data }];
    const refused = await ask('affine', { inputs });
    expect([refused.status, await refused.json()]).toEqual([
      413,
      expect.objectContaining({ code: 'SERVE_JSON_TOO_LARGE', error: expect.stringContaining('binary_data_size') as string }),
    ]);
  });

  test('a large request in JSON is exact, and other requests are served in the middle of it', async () => {
    const rows = ELEMENTS / 4;
    const values = Float32Array.from({ length: ELEMENTS }, (_, index) => Math.sin(index));
    const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 4], data: [...values] }] });
    expect(body.length).toBeGreaterThan(16 * 1024 * 1024);
    const state = { answered: false, asked: 0 };
    const large = ask('affine', Buffer.from(body), {}).then(async (reply) => {
      const json = (await reply.json()) as JsonReply;
      state.answered = true;
      return json;
    });
    for (; !state.answered; state.asked++) await (await fetch(`${base}/v2/health/live`)).arrayBuffer();
    const data = (await large).outputs[0]?.data ?? [];
    expect(data.every((value, index) => value === Math.fround(Math.fround((values[index] ?? 0) * 2) + 1))).toBe(true);
    expect(state.asked, 'health was asked many times meanwhile').toBeGreaterThan(20);
  });

  test('a client that stops reading holds up nobody, and one that goes away ends the writing', async () => {
    const body = JSON.stringify({ inputs: expand(1000, 1000) });
    const socket = net.connect(server.address.tcp?.port ?? 0, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`POST /v2/models/expand/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    expect((await ask('affine', { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] }] })).status).toBe(200);
    socket.destroy();
    await until('nothing is under way', () => runtime.list().every(({ inFlight }) => inFlight === 0));
    expect((await ask('expand', { inputs: expand(2, 2) })).status).toBe(200);
  });

  test('a client of HTTP/1.0 gets it without chunks', async () => {
    const body = JSON.stringify({ inputs: expand(100, 100) });
    const answer = await new Promise<string>((resolve) => {
      const socket = net.connect(server.address.tcp?.port ?? 0, '127.0.0.1');
      let got = '';
      socket.setEncoding('utf8').on('data', (part: string) => (got += part));
      socket.once('close', () => resolve(got));
      socket.write(`POST /v2/models/expand/infer HTTP/1.0\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    });
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toMatchObject({ outputs: [{ shape: [100, 100] }] });
  });

  test('large binary bodies go through unharmed', async () => {
    const rows = 2_000_000;
    const values = new Float32Array(rows * 4).fill(1.5);
    const document = {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [rows, 4], parameters: { binary_data_size: values.byteLength } }],
      parameters: { binary_data_output: true },
    };
    const head = Buffer.from(JSON.stringify(document));
    const reply = await ask('affine', Buffer.concat([head, Buffer.from(values.buffer)]), {
      'Inference-Header-Content-Length': String(head.byteLength),
    });
    const bytes = Buffer.from(await reply.arrayBuffer());
    const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + Number(reply.headers.get('inference-header-content-length'))));
    expect([data.length, data.every((value) => value === 4)]).toEqual([rows * 4, true]);
  });
});

describe('strings that the runtime would alter are refused', () => {
  const binary = (...values: readonly (string | Uint8Array)[]) => {
    const { data } = texts(...values);
    const document = {
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [values.length], parameters: { binary_data_size: data.byteLength } }],
    };
    const head = Buffer.from(JSON.stringify(document));
    return ask('text', Buffer.concat([head, data]), { 'Inference-Header-Content-Length': String(head.byteLength) });
  };
  const json = (text: string) =>
    ask('text', Buffer.from(`{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[${text}]}]}`, 'latin1'));

  test.each<[string, () => Promise<Response>, string, RegExp]>([
    ['NUL in a binary tensor', () => binary('ok', 'cat\0dog'), 'TENSOR_STRING', /element 1 has a NUL character at byte 3/],
    ['NUL alone', () => binary('\0'), 'TENSOR_STRING', /NUL/],
    ['NUL at the end, as C strings have it', () => binary('cat\0'), 'TENSOR_STRING', /NUL/],
    ['NUL in JSON', () => json('"cat\\u0000dog"'), 'TENSOR_STRING', /NUL/],
    ['an image in a binary tensor', () => binary(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)), 'TENSOR_STRING', /not UTF-8/],
    ['Latin-1 in a binary tensor', () => binary(Buffer.from('café', 'latin1')), 'TENSOR_STRING', /not UTF-8/],
    ['a cut character in a binary tensor', () => binary(Buffer.from('€').subarray(0, 2)), 'TENSOR_STRING', /not UTF-8/],
    ['an encoded surrogate in a binary tensor', () => binary(Uint8Array.of(0xed, 0xa0, 0x80)), 'TENSOR_STRING', /not UTF-8/],
    ['Latin-1 in JSON', () => json('"caf\xe9"'), 'SERVE_BODY', /not UTF-8/],
    ['half of a surrogate pair in JSON', () => json('"\\ud83d"'), 'SERVE_BODY', /surrogate/],
    ['Latin-1 in an id', () => ask('text', Buffer.from('{"id":"\xe9","inputs":[]}', 'latin1')), 'SERVE_BODY', /not UTF-8/],
    [
      'half of a surrogate pair in a name',
      () => ask('text', '{"inputs":[{"name":"\\udc00","datatype":"BYTES","shape":[1],"data":["a"]}]}'),
      'SERVE_BODY',
      /surrogate/,
    ],
  ])('%s', async (_, send, code, message) => {
    const reply = await send();
    const answer = (await reply.json()) as JsonReply;
    expect([reply.status, answer.code]).toEqual([400, code]);
    expect(answer.error).toMatch(message);
  });

  test('the data plane refuses them by itself, and not the requests they would share a batch with', async () => {
    const one = (value: string) =>
      runtime.infer({ model: modelName('text'), inputs: { text: texts(value) } }).then(
        ({ outputs }) => outputs['answer'],
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      );
    const all = await Promise.all([one('first'), one('a\0b'), one('third')]);
    expect(all).toEqual([
      expect.objectContaining({ data: texts('first').data }),
      'TENSOR_STRING',
      expect.objectContaining({ data: texts('third').data }),
    ]);
  });

  test('an output that the runtime altered is an error, and not a wrong answer', async () => {
    const labels = ['ok', 'ä\0b'].map((text) => Buffer.from(text));
    const spec = await writeServable(labelModel({ labels: [...labels, Buffer.from('caf\u00e9', 'latin1')] }), {
      model: 'label',
      inputs: [{ name: 'index', datatype: 'INT64', shape: [-1] }],
      outputs: [{ name: 'answer', datatype: 'BYTES', shape: [-1] }],
      samples: [
        { inputs: { index: { datatype: 'INT64', shape: [1], data: bytesOf(BigInt64Array.of(0n)) } }, outputs: { answer: texts('ok') } },
      ],
    });
    await runtime.load(spec);
    runtime.route(spec.model, spec.version);
    const label = (...index: readonly number[]) =>
      ask('label', { inputs: [{ name: 'index', datatype: 'INT64', shape: [index.length], data: index }] });
    expect(((await (await label(0, 1)).json()) as JsonReply).outputs[0]?.data).toEqual(['ok', 'ä\0b']);
    const altered = await label(2);
    expect([altered.status, await altered.json()]).toMatchObject([
      500,
      { code: 'TENSOR_STRING_OUTPUT', error: expect.stringMatching(/answer.*UTF-8/) as string },
    ]);
    await runtime.unload(spec.model, spec.version);
  });

  test('a replacement character that a golden sample shows is an answer, in every instance', async () => {
    const index = (at: bigint) => ({ index: { datatype: 'INT64', shape: [1], data: bytesOf(BigInt64Array.of(at)) } }) as const;
    const spec = await writeServable(labelModel({ labels: ['ok', '\ufffd', 'a\ufffd'].map((text) => Buffer.from(text)) }), {
      model: 'rightly',
      inputs: [{ name: 'index', datatype: 'INT64', shape: [-1] }],
      outputs: [{ name: 'answer', datatype: 'BYTES', shape: [-1] }],
      samples: [
        { inputs: index(0n), outputs: { answer: texts('ok') } },
        { inputs: index(1n), outputs: { answer: texts('\ufffd') } },
      ],
    });
    await runtime.load(spec);
    runtime.route(spec.model, spec.version);
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => ask('rightly', { inputs: [{ name: 'index', datatype: 'INT64', shape: [1], data: [2] }] })),
    );
    for (const reply of replies) expect(((await reply.json()) as JsonReply).outputs[0]?.data).toEqual(['a\ufffd']);
    await runtime.unload(spec.model, spec.version);
  });

  test('every other text passes as it is', async () => {
    const values = ['', 'ä€𝄞', '\ufeffmark', '\ufffd', '"\\/\b\f\n\r\t', '\u0001\u007f\u0080', 'é', '\ud83d\ude00'];
    const escaped = JSON.stringify(values).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
    for (const data of [JSON.stringify(values), escaped]) {
      const reply = await ask('text', `{"inputs":[{"name":"text","datatype":"BYTES","shape":[${values.length}],"data":${data}}]}`);
      expect(((await reply.json()) as JsonReply).outputs[0]?.data).toEqual(values);
    }
    const reply = await binary(...values);
    expect(((await reply.json()) as JsonReply).outputs[0]?.data).toEqual(values);
  });
});
