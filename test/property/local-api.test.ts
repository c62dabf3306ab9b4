import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { INPUT } from '#agent/serve/dialects/tensorflow-serving/grpc/example-protos.js';
import { MODEL_SERVICE, PREDICTION_SERVICE } from '#agent/serve/dialects/tensorflow-serving/grpc/serving-proto.js';
import { DEFAULT_SERVE_SETTINGS } from '#agent/serve/config.js';
import { openDialects } from '#agent/serve/dialects.js';
import type { HttpRoute } from '#agent/serve/http/exchange.js';
import { httpApis } from '#agent/serve/server.js';
import { ERROR_CODES, isErrorCode } from '#shared/kernel/error-registry.js';
import { encode } from '#shared/protobuf/encode.js';
import { GRPC_INFERENCE_SERVICE } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { ServiceType } from '#shared/protobuf/schema.js';
import { GrpcTestClient } from '../kit/grpc-client.js';
import { type ModelServer, startModelServer } from '../kit/model-server.js';
import { affineModel, textModel } from '../kit/onnx-models.js';

// Whatever comes to any route of any dialect, or any call over gRPC, gets an answer, and none of them is our fault.

interface Target {
  readonly base: string;
  readonly routes: readonly HttpRoute[];
}

/** Dialects that share no routes. */
const SETS = [undefined, ['oip', 'kserve-v1', 'sagemaker']] as const;
const servers: ModelServer[] = [];
const targets: Target[] = [];
let client: GrpcTestClient;

beforeAll(async () => {
  for (const names of SETS) {
    const dialects = await openDialects(names);
    const server = await startModelServer({
      dialects,
      models: {},
      config: { grpc: { host: '127.0.0.1', port: 0 }, jsonElements: 1_000, vertex: { predict: '/predict' }, closeGrace: 200 },
      folder: {
        files: { 'affine/1/model.onnx': affineModel(), 'text/1/model.onnx': textModel(), 'spare/1/model.onnx': affineModel() },
        load: ['affine', 'text'],
      },
    });
    servers.push(server);
    const parts = {
      dataPlane: server.runtime,
      feedback: server.recorder,
      metricsText: () => '',
      status: () => ({}),
      agentVersion: '',
      dialects,
    };
    const settings = { ...DEFAULT_SERVE_SETTINGS, vertex: { predict: '/predict' } };
    targets.push({ base: server.base, routes: httpApis(parts, settings).flatMap(({ routes }) => routes) });
  }
  client = new GrpcTestClient(servers[0]?.grpc.replace('grpc://', '') ?? '');
});
afterAll(async () => {
  client.close();
  await Promise.all(servers.map((server) => server.close()));
});

const WORDS = [
  'inputs',
  'outputs',
  'instances',
  'examples',
  'context',
  'parameters',
  'name',
  'datatype',
  'shape',
  'data',
  'id',
  'signature_name',

  'dataframe_split',
  'dataframe_records',
  'columns',
  'index',
  'params',
  'model_name',
  'url',
  'config',
  'settings',
  'timeout',
  'x',
  'b64',
  'binary_data_size',
  'binary_data',
  'classification',
  'key',
  'value',
  'correct',
  'ready',
  'log_verbose_level',
  'trace_level',
  'offset',
  'byte_size',
  'file:1/model.onnx',
  'priority',
  'sequence_id',
  'min_worker',
  'text',
  'specversion',
  'source',
  'type',
  '__proto__',
];
const leaf = fc.oneof(
  fc.constantFrom(null, true, '', 'x', 'FP32', 'affine', 'NaN', 1.5, -1, 0, 1e300),
  fc.integer(),
  fc.double(),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom([1, 2, 3, 4], [[1, 2, 3, 4]], [1, 4], [], {}),
);
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('document'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...WORDS), tie('document'), { maxKeys: 5 }),
  ),
}));
const GOOD = [
  '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}',
  '{"instances":[[1,2,3,4]]}',
  '{"dataframe_split":{"columns":["x"],"data":[[[1,2,3,4]]]}}',
  '{"examples":[{"x":[1,2,3,4]}]}',
  'x\n1\n2\n',
  '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n[1,2,3,4]\r\n--b--',
];
const altered = fc
  .tuple(fc.constantFrom(...GOOD), fc.nat(), fc.nat({ max: 4 }), fc.uint8Array({ maxLength: 4 }))
  .map(([text, at, drop, put]) => {
    const bytes = Buffer.from(text);
    const start = at % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + drop)]);
  });
const body = fc.oneof(
  document.map((value) => Buffer.from(JSON.stringify(value) ?? '')),
  altered,
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  altered.map((bytes) => gzipSync(bytes)),
);
const headers = fc
  .record({
    'content-type': fc.constantFrom(
      'application/json',
      'text/csv',
      'text/plain',
      'multipart/form-data; boundary=b',
      'application/octet-stream',
      'application/cloudevents+json',
      'application/x-www-form-urlencoded',
      'application/json; format=pandas-split',
      ';',
    ),
    'content-encoding': fc.constantFrom('gzip', 'deflate', 'identity', 'br', ','),
    'accept-encoding': fc.constantFrom('gzip', 'deflate;q=0.5, *', ';q'),
    'inference-header-content-length': fc.constantFrom('0', '5', '70', '-1', 'x', '99999999999'),
    'ce-specversion': fc.constantFrom('1.0', '2'),
    'ce-id': fc.constant('1'),
    'x-amzn-sagemaker-target-model': fc.constantFrom('text', 'nosuch'),
    traceparent: fc.constantFrom('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '00-0-0-00'),
    origin: fc.constant('https://elsewhere.example'),
  })
  .chain((all) => fc.subarray(Object.entries(all)).map((some) => Object.fromEntries(some)));
const segment = fc.constantFrom(
  'affine',
  'text',
  'spare',
  'nosuch',
  '..',
  '%2e%2e',
  '%zz',
  '1',
  '0',
  'stable',
  'a'.repeat(300),
  '%00',
  '%F0%9F%98%80',
);

function statusOf(url: string, method: string, given: Record<string, string>, bytes: Buffer): Promise<number | undefined> {
  const path = url.slice(url.indexOf('/', 8));
  const { hostname, port } = new URL(url.slice(0, url.indexOf('/', 8)));
  return new Promise((resolve, reject) => {
    const asking = request({ hostname, port, path, method, headers: { ...given, 'content-length': bytes.length } }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    asking.once('error', reject);
    asking.end(bytes);
  });
}

test('over HTTP', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.nat(),
      fc.array(segment, { minLength: 4, maxLength: 4 }),
      headers,
      body,
      async (which, at, segments, given, bytes) => {
        const { base, routes } = targets[which % targets.length] ?? { base: '', routes: [] };
        const route = routes[at % routes.length];
        const names = [...segments];
        const path = (route?.path ?? '/').replaceAll(/:(model|version|label|region|repository|workers?)\b/g, () => names.pop() ?? '');
        const status = await statusOf(`${base}${path}`, route?.method ?? 'GET', given, bytes);
        expect([route?.path, status]).not.toEqual([route?.path, 500]);
      },
    ),
    { numRuns: 400 },
  );
  for (const { base } of targets) expect(await statusOf(`${base}/v2/health/live`, 'GET', {}, Buffer.alloc(0))).toBe(200);
});

const SERVICES: readonly ServiceType[] = [GRPC_INFERENCE_SERVICE, PREDICTION_SERVICE, MODEL_SERVICE];
const calls = SERVICES.flatMap(({ name, rpcs }) =>
  Object.entries(rpcs).flatMap(([call, { streaming }]) => (streaming === 'none' ? [`/${name}/${call}`] : [])),
);
const MESSAGES = [
  encode(GRPC_INFERENCE_SERVICE.rpcs.ModelInfer.request, {
    model_name: 'affine',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }],
    raw_input_contents: [Buffer.alloc(16)],
  }),
  encode(PREDICTION_SERVICE.rpcs.Predict.request, {
    model_spec: { name: 'affine' },
    inputs: new Map([['x', { dtype: 1, tensor_shape: { dim: [{ size: 1 }, { size: 4 }] }, float_val: [Buffer.alloc(16)] }]]),
  }),
  encode(PREDICTION_SERVICE.rpcs.Classify.request, {
    model_spec: { name: 'affine' },
    input: encode(INPUT, {
      example_list: { examples: [{ features: { feature: new Map([['x', { float_list: { value: [1, 2, 3, 4] } }]]) } }] },
    }),
  }),
  encode(MODEL_SERVICE.rpcs.HandleReloadConfigRequest.request, {
    config: { model_config_list: { config: [{ name: 'affine' }, { name: 'text' }] } },
  }),
];

test('over gRPC', async () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(fc.constantFrom(...MESSAGES), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }), fc.nat({ max: 3 }))
      .map(([good, changes, cut]) => {
        const bytes = Buffer.from(good);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes.subarray(0, bytes.length - cut);
      }),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...calls), message, async (call, bytes) => {
      const { code, skerry } = await client.raw(call, bytes);
      const fault = skerry !== undefined && isErrorCode(skerry) ? ERROR_CODES[skerry].fault : 'unknown';
      expect([call, code === 0 ? 'caller' : fault, skerry]).not.toEqual([call, 'ours', skerry]);
      expect([call, code === 0 ? 'caller' : fault]).not.toEqual([call, 'unknown']);
    }),
    { numRuns: 400 },
  );
});
