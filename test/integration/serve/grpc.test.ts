import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import type { ServeConfig } from '#agent/serve/config.js';
import { MODEL_SERVICE, PREDICTION_SERVICE, SIGNATURE_MAP } from '#agent/serve/dialects/tensorflow-serving/grpc/serving-proto.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decode } from '#shared/protobuf/decode.js';
import { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageInit, MessageType, Rpc } from '#shared/protobuf/schema.js';
import { HEALTH } from '#shared/protobuf/standard/health-proto.js';
import type { GrpcTestClient } from '../../kit/grpc-client.js';
import { affineModel, loopModel, textModel } from '../../kit/onnx-models.js';
import { affineSample, memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';

const RPCS = GRPC_INFERENCE_SERVICE.rpcs;
const CODES = {
  OK: 0,
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
};
const recorder = new MetricsRecorder();
const requests = new RequestCounts();
const closing: { close(): Promise<void> | void }[] = [];
let runtime: InferenceRuntime;
let server: InferenceServer;
let client: GrpcTestClient;
let loadedWithout: readonly string[] = ['not looked'];

const loadedModules = (): readonly string[] => Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('@grpc'));

async function serve(config: Partial<ServeConfig>): Promise<InferenceServer> {
  const made = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests,
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 }, closeGrace: 200, ...config },
  });
  await made.start();
  closing.push(made);
  return made;
}

async function connect(to: InferenceServer): Promise<GrpcTestClient> {
  const { GrpcTestClient: TestClient } = await import('../../kit/grpc-client.js');
  const made = new TestClient(`127.0.0.1:${to.address.grpc?.port}`);
  closing.unshift(made);
  return made;
}

beforeAll(async () => {
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger, device: 'd1' });
  await runtime.start();
  await runtime.load(await writeServable(affineModel()));
  await runtime.load(await writeServable(affineModel({ bias: 5 }), { version: 2, samples: [affineSample(2, 5)] }));
  runtime.route(modelName('affine'), versionNumber(1));
  // Nothing of gRPC is loaded where it has no port.
  await serve({});
  loadedWithout = loadedModules();
  server = await serve({ grpc: { host: '127.0.0.1', port: 0 }, bodyLimit: 1024 * 1024 });
  client = await connect(server);
});
afterAll(async () => {
  for (const one of closing) await one.close();
  await runtime.close();
});

const path = (name: string): string => `/${GRPC_INFERENCE_SERVICE.name}/${name}`;
type Name = keyof typeof RPCS;

const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
const numbers = (bytes: Uint8Array | undefined): number[] =>
  bytes === undefined ? [] : [...new Float32Array(Uint8Array.from(bytes).buffer)];
type InferInit = MessageInit<(typeof RPCS)['ModelInfer']['request']>;
const X = { name: 'x', datatype: 'FP32', shape: [1, 4] };
const good: InferInit = { model_name: 'affine', id: 'r1', inputs: [X], raw_input_contents: [floats(1, 2, 3, 4)] };
const infer = (init: InferInit, metadata: Record<string, string> = {}) =>
  client.unary(path('ModelInfer'), RPCS.ModelInfer, init, { metadata });
/** Typed contents: field 6 of InferTensorContents, packed. */
const typedFloats = (...values: number[]): Buffer => Buffer.concat([Buffer.from([6 * 8 + 2, values.length * 4]), floats(...values)]);

test('nothing of gRPC is loaded before it has a port', () => {
  expect([loadedWithout.length, loadedModules().length > 0]).toEqual([0, true]);
});

describe('inference', () => {
  test('raw and typed contents give the same answer, always raw, under the name, version and id of the request', async () => {
    const raw = await infer(good);
    const typed = await infer({ ...good, inputs: [{ ...X, contents: typedFloats(1, 2, 3, 4) }], raw_input_contents: [] });
    for (const { code, answers } of [raw, typed]) {
      expect(code).toBe(CODES.OK);
      expect(answers[0]).toMatchObject({ model_name: 'affine', model_version: '1', id: 'r1' });
      expect(answers[0]?.outputs).toMatchObject([{ name: 'y', datatype: 'FP32', shape: [1, 4] }]);
      expect(numbers(answers[0]?.raw_output_contents[0])).toEqual([3, 5, 7, 9]);
    }
    const second = await infer({ ...good, model_version: '2' });
    expect(numbers(second.answers[0]?.raw_output_contents[0])).toEqual([7, 9, 11, 13]);
  });

  const refused: readonly (readonly [string, InferInit, number, RegExp])[] = [
    [
      'raw and typed together',
      { ...good, inputs: [{ ...X, contents: typedFloats(1, 2, 3, 4) }] },
      CODES.INVALID_ARGUMENT,
      /^contents field must not be specified when using raw_input_contents for 'x' for model 'affine'$/,
    ],
    ['no data', { ...good, raw_input_contents: [] }, CODES.INVALID_ARGUMENT, /"x" has no data/],
    [
      'raw data that no input takes',
      { ...good, raw_input_contents: [floats(1, 2, 3, 4), floats(1)] },
      CODES.INVALID_ARGUMENT,
      /2 entries, 1 inputs/,
    ],
    ['raw data that is too short', { ...good, raw_input_contents: [floats(1)] }, CODES.INVALID_ARGUMENT, /takes 16 bytes, the data has 4/],
    [
      'another typed field',
      { ...good, inputs: [{ ...X, contents: Buffer.from([0x12, 4, 1, 2, 3, 4]) }], raw_input_contents: [] },
      CODES.INVALID_ARGUMENT,
      /int_contents is set, expected fp32_contents/,
    ],
    ['an unknown model', { ...good, model_name: 'nosuch' }, CODES.NOT_FOUND, /nosuch/],
    ['no model', { ...good, model_name: '' }, CODES.NOT_FOUND, /no model/],
    ['an unknown version', { ...good, model_version: '7' }, CODES.NOT_FOUND, /7/],
    ['a version that is no number', { ...good, model_version: 'abc' }, CODES.INVALID_ARGUMENT, /"abc" is not a version number/],
    ['an unknown output', { ...good, outputs: [{ name: 'nope' }] }, CODES.INVALID_ARGUMENT, /"nope"/],
    ['an unknown datatype', { ...good, inputs: [{ ...X, datatype: 'FLOAT' }] }, CODES.INVALID_ARGUMENT, /datatype/],
    ['a negative size', { ...good, inputs: [{ ...X, shape: [-1, 4] }] }, CODES.INVALID_ARGUMENT, /shape/],
    ['an input twice', { ...good, inputs: [X, X] }, CODES.INVALID_ARGUMENT, /given twice/],
    [
      'a parameter of another type',
      { ...good, parameters: new Map([['timeout', { string_param: '1' }]]) },
      CODES.INVALID_ARGUMENT,
      /parameters.timeout/,
    ],
    ['a reserved parameter', { ...good, parameters: new Map([['triton_x', { string_param: '1' }]]) }, CODES.INVALID_ARGUMENT, /triton_x/],
    [
      'a message that is too large',
      { ...good, raw_input_contents: [Buffer.alloc(1024 * 1024)] },
      CODES.RESOURCE_EXHAUSTED,
      /larger than max/,
    ],
  ];
  test.each(refused)('%s is refused', async (_title, init, code, message) => {
    const answer = await infer(init);
    expect(answer.code).toBe(code);
    expect(answer.message).toMatch(message);
  });

  test('bytes that are no message are refused as every gRPC server does', async () => {
    const answer = await client.raw(path('ModelInfer'), Buffer.from([0xff, 0xff, 0xff]));
    expect(answer).toMatchObject({ code: CODES.INTERNAL, skerry: 'PROTOBUF_INVALID' });
    expect((await client.raw(path('NoSuchCall'), Buffer.alloc(0))).code).toBe(CODES.UNIMPLEMENTED);
    expect((await client.raw('/no.such.Service/Call', Buffer.alloc(0))).code).toBe(CODES.UNIMPLEMENTED);
  });

  test('texts go both ways, not as UTF-8 only', async () => {
    await runtime.load(
      await writeServable(textModel(), {
        model: 'text',
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
        outputs: [{ name: 'answer', datatype: 'BYTES', shape: [-1] }],
        samples: [],
      }),
    );
    runtime.route(modelName('text'), versionNumber(1));
    const contents = Buffer.from([0x42, 3, 0x61, 0xc3, 0xa9, 0x42, 0]);
    const answer = await infer({ model_name: 'text', inputs: [{ name: 'text', datatype: 'BYTES', shape: [2], contents }] });
    expect(answer.message).toBe('');
    expect(Buffer.from(answer.answers[0]?.raw_output_contents[0] ?? []).toString('hex')).toBe('0300000061c3a900000000');
  });

  test('feedback finds an answer that went over gRPC, by the id or the key of the request', async () => {
    recorder.take();
    await infer({ ...good, id: 'g1', model_version: '2' });
    await infer({ ...good, id: '', model_version: '2' }, { 'x-skerry-key': 'user-1' });
    const tell = (body: object) =>
      fetch(`http://127.0.0.1:${server.address.tcp?.port}/v2/models/affine/feedback`, { method: 'POST', body: JSON.stringify(body) });
    const [byId, byKey] = [await tell({ id: 'g1', correct: true }), await tell({ key: 'user-1', correct: false })];
    expect([byId.status, byKey.status]).toEqual([200, 200]);
    const window = recorder
      .take()
      .find(({ target }) => target.version === 2)
      ?.toWindow();
    expect(window).toMatchObject({ predictions: 2, feedback: { total: 2 } });
  });
});

describe('deadlines', () => {
  beforeAll(async () => {
    const samples = [{ inputs: affineSample().inputs, outputs: { y: affineSample().inputs['x'] ?? never() } }];
    await runtime.load(await writeServable(loopModel({ iterations: 300_000 }), { model: 'patient', samples }));
    runtime.route(modelName('patient'), versionNumber(1));
  });
  afterAll(() => runtime.unload(modelName('patient'), versionNumber(1)));

  test('a deadline and a timeout end the call, and neither is a failure of the version', async () => {
    recorder.take();
    const slow = { ...good, model_name: 'patient' };
    const late = await client.unary(path('ModelInfer'), RPCS.ModelInfer, slow, { options: { deadline: Date.now() + 30 } });
    expect(late.code).toBe(CODES.DEADLINE_EXCEEDED);
    const short = await infer({ ...slow, parameters: new Map([['timeout', { int64_param: 10_000n }]]) });
    expect(short).toMatchObject({ code: CODES.DEADLINE_EXCEEDED, skerry: 'INFERENCE_TIMEOUT_SHORT' });
    const patient = await infer(slow);
    expect(patient.code).toBe(CODES.OK);
  });
});

describe('streams', () => {
  const stream = (inits: readonly InferInit[]) => client.stream(path('ModelStreamInfer'), RPCS.ModelStreamInfer, inits);

  test('answers come in the order of the requests, an error is told for its request alone', async () => {
    const inits = Array.from({ length: 100 }, (_, index) => ({
      ...good,
      id: `s${index}`,
      ...(index === 40 ? { model_name: 'nosuch' } : {}),
    }));
    const { code, answers } = await stream(inits);
    expect(code).toBe(CODES.OK);
    expect(answers.map(({ infer_response: response }) => response?.id)).toEqual(inits.map(({ id }) => id));
    expect(answers.filter(({ error_message: message }) => message !== '').map(({ infer_response: response }) => response?.id)).toEqual([
      's40',
    ]);
    expect(answers[0]?.infer_response?.parameters.get('triton_final_response')?.bool_param).toBe(true);
    expect(
      requests.totals().find(({ api, call, status }) => api === 'oip' && call === 'inference' && status === 'OK')?.count,
    ).toBeGreaterThanOrEqual(99);
  });

  test('no requests are no answers, and a message that cannot be read ends the stream', async () => {
    expect(await stream([])).toMatchObject({ code: CODES.OK, answers: [] });
    const odd = Array.from({ length: 3 }, () => ({ ...good, outputs: Array.from({ length: 70_000 }, () => ({})) }));
    expect(await stream(odd)).toMatchObject({ code: CODES.RESOURCE_EXHAUSTED, answers: [] });
  });
});

async function ask(name: Exclude<Name, 'ModelStreamInfer'>, init: object = {}): Promise<unknown> {
  const rpc: Rpc<MessageType, MessageType, 'none'> = RPCS[name];
  const { code, answers, message } = await client.unary(path(name), rpc, init);
  return code === CODES.OK ? answers[0] : { code, message };
}

describe('models and server', () => {
  test('what is live, ready and described', async () => {
    expect(await ask('ServerLive')).toEqual({ live: true });
    expect(await ask('ServerReady')).toEqual({ ready: true });
    expect(await ask('ServerMetadata')).toMatchObject({ name: 'skerry', version: '0.1.0' });
    expect(await ask('ModelReady', { name: 'affine' })).toEqual({ ready: true });
    expect(await ask('ModelReady', { name: 'nosuch' })).toEqual({ ready: false });
    expect(await ask('ModelReady', { name: 'affine', version: '9' })).toEqual({ ready: false });
    expect(await ask('ModelReady', { name: 'affine', version: '-1' })).toMatchObject({ code: CODES.INVALID_ARGUMENT });
    expect(await ask('ModelMetadata', { name: 'affine' })).toMatchObject({
      versions: ['1', '2'],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
    });
    expect(await ask('ModelMetadata', { name: 'affine', version: '2' })).toMatchObject({ versions: ['2'] });
    expect(await ask('ModelConfig', { name: 'affine' })).toMatchObject({
      config: { name: 'affine', input: [{ name: 'x', data_type: 11, dims: [-1, 4] }] },
    });
    expect(await ask('ModelStatistics', { name: 'affine', version: '2' })).toMatchObject({
      model_stats: [{ name: 'affine', version: '2', batch_stats: [{ batch_size: 1 }] }],
    });
  });

  test('the index shows what is loaded, and a device of a fleet refuses to load', async () => {
    const index = JSON.stringify(await ask('RepositoryIndex', { ready: true }));
    expect(index).toContain('{"name":"affine","version":"2","state":"READY","reason":""}');
    expect(await ask('RepositoryIndex', { repository_name: 'x' })).toMatchObject({ code: CODES.UNIMPLEMENTED });
    expect(await ask('RepositoryModelLoad', { model_name: 'affine' })).toMatchObject({ code: CODES.FAILED_PRECONDITION });
    const parameters = new Map([['foo', { string_param: 'x' }]]);
    expect(await ask('RepositoryModelLoad', { model_name: 'affine', parameters })).toMatchObject({ code: CODES.INVALID_ARGUMENT });
  });
});

describe('the standard health service', () => {
  test('Check knows the server and its services, Watch tells changes', async () => {
    const check = (service: string) => client.unary('/grpc.health.v1.Health/Check', HEALTH.rpcs.Check, { service });
    expect((await check('')).answers).toEqual([{ status: 1 }]);
    expect((await check(GRPC_INFERENCE_SERVICE.name)).answers).toEqual([{ status: 1 }]);
    expect((await check('no.such')).code).toBe(CODES.NOT_FOUND);
    const seen: number[] = [];
    const ended = await client.watch('/grpc.health.v1.Health/Watch', HEALTH.rpcs.Watch, {}, ({ status }, cancel) => {
      seen.push(status);
      cancel();
    });
    expect([seen, ended]).toEqual([[1], CODES.CANCELLED]);
  });

  test('Watch does not keep the server from closing', async () => {
    const patient = await serve({ grpc: { host: '127.0.0.1', port: 0 }, closeGrace: 600_000 });
    const watcher = await connect(patient);
    let closed: Promise<void> | undefined;
    const ended = await watcher.watch('/grpc.health.v1.Health/Watch', HEALTH.rpcs.Watch, {}, () => {
      closed ??= patient.close();
    });
    await closed;
    expect(ended).toBe(CODES.OK);
  });
});

describe('TensorFlow Serving', () => {
  const { Predict, GetModelMetadata } = PREDICTION_SERVICE.rpcs;
  const spec = { name: 'affine' };
  const shape = { dim: [{ size: 1 }, { size: 4 }] };
  const predict = (inputs: MessageInit<(typeof Predict)['request']>['inputs'], model_spec: object = spec) =>
    client.unary('/tensorflow.serving.PredictionService/Predict', Predict, { model_spec, inputs });

  test('Predict takes content, values, and one value for all; it answers with content', async () => {
    for (const [tensor, expected] of [
      [{ tensor_content: floats(1, 2, 3, 4) }, [3, 5, 7, 9]],
      [{ float_val: [floats(1, 2, 3, 4)] }, [3, 5, 7, 9]],
      [{ float_val: [floats(1)] }, [3, 3, 3, 3]],
    ] as const) {
      const { code, message, answers } = await predict(new Map([['x', { dtype: 1, tensor_shape: shape, ...tensor }]]));
      expect([code, message]).toEqual([CODES.OK, '']);
      expect(answers[0]?.model_spec).toMatchObject({ name: 'affine', version: { value: 1 } });
      expect(answers[0]?.outputs.get('y')).toMatchObject({ dtype: 1, tensor_shape: { dim: [{ size: 1 }, { size: 4 }] } });
      expect(numbers(answers[0]?.outputs.get('y')?.tensor_content)).toEqual(expected);
    }
    const second = await predict(new Map([['x', { dtype: 1, tensor_shape: shape, tensor_content: floats(1, 2, 3, 4) }]]), {
      ...spec,
      version: { value: 2 },
    });
    expect(numbers(second.answers[0]?.outputs.get('y')?.tensor_content)).toEqual([7, 9, 11, 13]);
  });

  test('what does not fit is refused', async () => {
    const input = (tensor: object) => new Map([['x', { dtype: 1, tensor_shape: shape, ...tensor }]]);
    const few = await predict(input({ float_val: [floats(1, 2, 3)] }));
    expect([few.code, few.message]).toEqual([CODES.INVALID_ARGUMENT, expect.stringMatching(/float_val has/)]);
    expect((await predict(input({ dtype: 8 }))).code).toBe(CODES.INVALID_ARGUMENT);
    expect((await predict(input({}), { name: 'nosuch' })).code).toBe(CODES.NOT_FOUND);
    expect((await predict(input({}), { ...spec, version: { value: 9 } })).code).toBe(CODES.NOT_FOUND);
    expect((await predict(input({}), { ...spec, version_label: 'stable' })).code).toBe(CODES.NOT_FOUND);
  });

  test('metadata and status', async () => {
    const method = '/tensorflow.serving.PredictionService/GetModelMetadata';
    const { answers } = await client.unary(method, GetModelMetadata, { model_spec: spec, metadata_field: ['signature_def'] });
    const wrapped = answers[0]?.metadata.get('signature_def');
    expect(wrapped?.type_url).toBe('type.googleapis.com/tensorflow.serving.SignatureDefMap');
    const signature = decode(SIGNATURE_MAP, wrapped?.value ?? Buffer.alloc(0)).signature_def.get('serving_default');
    expect(signature?.inputs.get('x')).toMatchObject({ dtype: 1, name: 'x:0' });
    const status = await client.unary('/tensorflow.serving.ModelService/GetModelStatus', MODEL_SERVICE.rpcs.GetModelStatus, {
      model_spec: spec,
    });
    expect(status.answers[0]?.model_version_status).toMatchObject([
      { version: 2, state: 30 },
      { version: 1, state: 30 },
    ]);
  });
});

function never(): never {
  throw new Error('the sample has an input x');
}
