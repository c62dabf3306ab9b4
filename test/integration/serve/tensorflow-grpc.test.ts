import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { INPUT } from '#agent/serve/dialects/tensorflow-serving/grpc/example-protos.js';
import { MODEL_SERVICE, PREDICTION_SERVICE } from '#agent/serve/dialects/tensorflow-serving/grpc/serving-proto.js';
import { openDialects } from '#agent/serve/dialects.js';
import { decode } from '#shared/protobuf/decode.js';
import { encode } from '#shared/protobuf/encode.js';
import { many, message, type MessageInit, one } from '#shared/protobuf/schema.js';
import { GrpcTestClient } from '../../kit/grpc-client.js';
import { type ModelServer, startModelServer } from '../../kit/model-server.js';
import { affineModel, classifierModel, tokenModel } from '../../kit/onnx-models.js';

const { Classify, Regress, MultiInference } = PREDICTION_SERVICE.rpcs;
const { HandleReloadConfigRequest } = MODEL_SERVICE.rpcs;
const path = (call: string): string => `/tensorflow.serving.PredictionService/${call}`;
const RELOAD = '/tensorflow.serving.ModelService/HandleReloadConfigRequest';

// Results as their .proto declare them; they are written a piece at a time.
const CLASS = message('Class', { label: one('string', 1), score: one('float', 2) });
const CLASSES = message('ClassificationResult', { classifications: many(message('Classifications', { classes: many(CLASS, 1) }), 1) });
const VALUES = message('RegressionResult', { regressions: many(message('Regression', { value: one('float', 1) }), 1) });

let server: ModelServer;
let client: GrpcTestClient;

beforeAll(async () => {
  server = await startModelServer({
    dialects: await openDialects(['oip', 'tensorflow-serving']),
    models: {},
    config: { grpc: { host: '127.0.0.1', port: 0 }, closeGrace: 200 },
    folder: {
      files: {
        'classifier/1/model.onnx': classifierModel({ zipMap: false }),
        'classifier/labels.txt': 'cat\ndog\nowl\n',
        'classifier/config.pbtxt': 'output [{ name: "probabilities" data_type: TYPE_FP32 dims: [-1, 3] label_filename: "labels.txt" }]',
        'wide/1/model.onnx': affineModel(),
        'single/1/model.onnx': affineModel({ width: 1 }),
        'single/2/model.onnx': affineModel({ width: 1, bias: 5 }),
        'single/config.pbtxt': 'version_policy { all { } }',
        'token/1/model.onnx': tokenModel({ offset: 1 }),
        'spare/1/model.onnx': affineModel({ width: 1, bias: 7 }),
        'spare/2/model.onnx': affineModel({ width: 1, bias: 8 }),
        'damaged/1/model.onnx': 'no model',
      },
      load: ['classifier', 'wide', 'single', 'token'],
    },
  });
  client = new GrpcTestClient(server.grpc.replace('grpc://', ''));
});
afterAll(async () => {
  client.close();
  await server.close();
});

type Example = NonNullable<NonNullable<MessageInit<typeof INPUT>['example_list']>['examples']>[number];
type Feature = { readonly float_list: { readonly value: readonly number[] } };
const floats = (...value: number[]): Feature => ({ float_list: { value } });
const example = (features: Readonly<Record<string, object>>): Example => ({ features: { feature: new Map(Object.entries(features)) } });
const inputOf = (...examples: Example[]): Buffer => encode(INPUT, { example_list: { examples } });
const classify = (name: string, input: Uint8Array) => client.unary(path('Classify'), Classify, { model_spec: { name }, input });
const regress = (name: string, input: Uint8Array, spec: object = {}) =>
  client.unary(path('Regress'), Regress, { model_spec: { name, ...spec }, input });
const valuesOf = (result: Uint8Array | undefined) => decode(VALUES, result ?? Buffer.alloc(0)).regressions.map(({ value }) => value);

describe('examples', () => {
  test('Classify gives each class of each example its name and score', async () => {
    const {
      code,
      message: text,
      answers,
    } = await classify('classifier', inputOf(example({ x: floats(0, 0) }), example({ x: floats(9, -9) })));
    expect([code, text]).toEqual([0, '']);
    expect(answers[0]?.model_spec).toMatchObject({ name: 'classifier', version: { value: 1 }, signature_name: 'serving_default' });
    const { classifications } = decode(CLASSES, answers[0]?.result ?? Buffer.alloc(0));
    expect(classifications.map(({ classes }) => classes.map(({ label }) => label))).toEqual([
      ['cat', 'dog', 'owl'],
      ['cat', 'dog', 'owl'],
    ]);
    expect(classifications[1]?.classes[0]?.score).toBeGreaterThan(0.9);
  });

  test('Regress takes a context, passes over other features, and answers with the version that is named', async () => {
    const withContext = encode(INPUT, {
      example_list_with_context: {
        examples: [example({}), example({ x: floats(2), label: { bytes_list: { value: [Buffer.from('y')] } } })],
        context: example({ x: floats(1) }),
      },
    });
    const first = await regress('single', withContext, { version: { value: 1 } });
    expect(valuesOf(first.answers[0]?.result)).toEqual([3, 5]);
    const second = await regress('single', withContext);
    expect([valuesOf(second.answers[0]?.result), second.answers[0]?.model_spec?.version?.value]).toEqual([[7, 9], 2]);
  });

  test('unpacked values are read as packed ones', async () => {
    const list = Buffer.from([0x0d, 0, 0, 0x40, 0x40]);
    const feature = Buffer.concat([Buffer.from([2 * 8 + 2, list.length]), list]);
    const entry = Buffer.concat([Buffer.from([10, 1, 0x78, 18, feature.length]), feature]);
    const features = Buffer.concat([Buffer.from([10, entry.length]), entry]);
    const bytes = [1, 1, 1].reduce((inner) => Buffer.concat([Buffer.from([10, inner.length]), inner]), features);
    expect(valuesOf((await regress('single', bytes)).answers[0]?.result)).toEqual([11]);
  });

  test('MultiInference runs the model once for all tasks', async () => {
    const tasks = ['tensorflow/serving/classify', 'tensorflow/serving/regress'].map((method_name) => ({
      model_spec: { name: 'single' },
      method_name,
    }));
    const input = inputOf(example({ x: floats(1) }), example({ x: floats(2) }));
    const { code, answers } = await client.unary(path('MultiInference'), MultiInference, { tasks, input });
    const [classes, values] = answers[0]?.results ?? [];
    expect(code).toBe(0);
    expect(decode(CLASSES, classes?.classification_result ?? Buffer.alloc(0)).classifications).toMatchObject([
      { classes: [{ label: '', score: 7 }] },
      { classes: [{ score: 9 }] },
    ]);
    expect(valuesOf(values?.regression_result)).toEqual([7, 9]);
    for (const [wrong, why] of [
      [[], /no tasks/],
      [[{ ...tasks[0], method_name: 'predict' }], /method_name "predict"/],
      [[tasks[0], tasks[0]], /two tasks/],
      [[tasks[0], { ...tasks[1], model_spec: { name: 'wide' } }], /same model name/],
    ] as const) {
      const refused = await client.unary(path('MultiInference'), MultiInference, { tasks: wrong.map((task) => ({ ...task })), input });
      expect([refused.code, refused.message]).toEqual([3, expect.stringMatching(why)]);
    }
  });

  const single = inputOf(example({ x: floats(1) }));
  test.each([
    ['no examples', 'single', inputOf(), 3, /Input is empty/],
    ['no input', 'single', Buffer.alloc(0), 3, /Input is empty/],
    ['a missing feature', 'single', inputOf(example({ y: floats(1) })), 3, /example 0 lacks the feature "x"/],
    ['another number of values', 'single', inputOf(example({ x: floats(1) }), example({ x: floats(1, 2) })), 3, /example 1 has 2 values/],
    ['too few values', 'wide', inputOf(example({ x: floats(1, 2) })), 3, /cannot have 2 values/],
    ['another list', 'single', inputOf(example({ x: { int64_list: { value: [1n] } } })), 3, /has a int64_list; the input is FP32/],
    ['several values for each example', 'wide', inputOf(example({ x: floats(1, 2, 3, 4) })), 3, /4 values for each example/],
    ['a model without scores', 'token', inputOf(example({ tokens: { int64_list: { value: [1n] } } })), 3, /./],
    ['no such model', 'nosuch', single, 5, /nosuch/],
    ['bytes that are no message', 'single', Buffer.from([10, 200]), 13, /ends in the middle/],
  ])('Regress refuses %s', async (_, name, input, code, why) => {
    const refused = await regress(name, input);
    expect([refused.code, refused.message]).toEqual([code, expect.stringMatching(why)]);
  });

  test('another signature is refused', async () => {
    const refused = await regress('single', single, { signature_name: 'other' });
    expect([refused.code, refused.message]).toEqual([3, expect.stringContaining('Serving signature name: "other" not found')]);
  });
});

test('a client without a .proto calls by what the server tells of itself', async () => {
  const { ReflectedClient: Reflected } = await import('../../kit/reflected-client.js');
  const services = ['inference.GRPCInferenceService', 'tensorflow.serving.PredictionService', 'tensorflow.serving.ModelService'];
  const reflected = await Reflected.connect(server.grpc.replace('grpc://', ''), services);
  const [oip = '', prediction = '', management = ''] = services;
  const contents = { fp32_contents: [1, 2, 3, 4] };
  const inferred = await reflected.call(oip, 'ModelInfer', {
    model_name: 'wide',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4], contents }],
    // Of descriptors, protobufjs makes a map what it is on the wire: entries.
    parameters: [{ key: 'key', value: { string_param: 'a' } }],
  });
  expect(inferred).toMatchObject({ model_name: 'wide', outputs: [{ name: 'y', shape: [1, 4] }] });
  expect(await reflected.call(oip, 'ModelConfig', { name: 'wide' })).toMatchObject({ config: { input: [{ dims: [-1, 4] }] } });
  const input = { example_list: { examples: [{ features: { feature: [{ key: 'x', value: { float_list: { value: [1] } } }] } }] } };
  const tasks = [{ model_spec: { name: 'single', version: { value: 1 } }, method_name: 'tensorflow/serving/regress' }];
  const multi = await reflected.call(prediction, 'MultiInference', { tasks, input });
  expect(multi).toMatchObject({ results: [{ regression_result: { regressions: [{ value: 3 }] } }] });
  const classified = await reflected.call(prediction, 'Classify', { model_spec: { name: 'single', version: { value: 2 } }, input });
  expect(classified).toMatchObject({ result: { classifications: [{ classes: [{ score: 7 }] }] } });
  const status = await reflected.call(management, 'GetModelStatus', { model_spec: { name: 'wide' } });
  expect(status).toMatchObject({ model_version_status: [{ state: 'AVAILABLE', status: { error_code: 'OK' } }] });
  const policy = { model_version_policy: { specific: { versions: [9] } } };
  const list = { config: { model_config_list: { config: [{ name: 'spare', ...policy }] } } };
  await expect(reflected.call(management, 'HandleReloadConfigRequest', list)).rejects.toMatchObject({ code: 9 });
  reflected.close();
});

describe('HandleReloadConfigRequest', () => {
  const reload = (config: MessageInit<(typeof HandleReloadConfigRequest)['request']>['config']) =>
    client.unary(RELOAD, HandleReloadConfigRequest, { config });
  const list = (...config: readonly object[]) => reload({ model_config_list: { config: config.map((entry) => ({ ...entry })) } });
  const served = (): string[] =>
    server.runtime
      .list()
      .map(({ model, version, state }) => `${model} ${version} ${state}`)
      .sort();

  test('what cannot be had is refused by name, and nothing changes', async () => {
    const before = served();
    for (const [config, code, why] of [
      [[{ name: 'spare' }, { name: 'damaged' }], 9, /./],
      [[{ name: 'spare' }, { name: 'nosuch' }], 5, /no model "nosuch"/],
      [[{ name: 'spare' }, { name: 'spare' }], 3, /"spare" is in the list twice/],
      [[{ name: 'spare', base_path: '/elsewhere/spare' }], 12, /base_path "\/elsewhere\/spare"/],
      [[{ name: 'spare', model_platform: 'caffe' }], 12, /model_platform "caffe"/],
      [[{ name: 'spare', model_type: 2 }], 12, /model_type OTHER/],
      [[{ name: 'spare', logging_config: {} }], 12, /logging_config/],
      [[{ name: 'spare', version_labels: new Map([['stable', 1]]) }], 12, /version_labels/],
      [[{ name: 'spare', model_version_policy: { specific: { versions: [] } } }], 3, /at least one version/],
      [[{ name: 'spare', model_version_policy: { specific: { versions: [9] } } }], 9, /no version to serve/],
    ] as const) {
      const refused = await list(...config);
      expect([refused.code, refused.message]).toEqual([code, expect.stringMatching(why)]);
      expect(served()).toEqual(before);
    }
    expect((await reload(undefined)).code).toBe(3);
    expect((await reload({ custom_model_config: { type_url: 'x' } })).code).toBe(12);
  });

  test('a list replaces what is served, with the versions that it names', async () => {
    const { code, answers } = await list(
      { name: 'single', model_platform: 'tensorflow' },
      { name: 'spare', model_version_policy: { all: {} } },
    );
    expect([code, answers[0]?.status]).toEqual([0, { error_code: 0, error_message: '' }]);
    expect(served()).toEqual(['single 1 available', 'single 2 available', 'spare 1 available', 'spare 2 available']);
    await list(
      { name: 'single', model_version_policy: { specific: { versions: [1] } } },
      { name: 'spare', model_version_policy: { latest: {} } },
    );
    expect(served()).toEqual(['single 1 available', 'spare 2 available']);
    expect(valuesOf((await regress('single', inputOf(example({ x: floats(1) })))).answers[0]?.result)).toEqual([3]);
    // An empty list serves nothing.
    await list();
    expect(served()).toEqual([]);
  });
});
