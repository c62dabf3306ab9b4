import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInferenceRuntime, type InferenceRuntime } from '#agent/inference/runtime.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { fleetRepository } from '#agent/serve/repository.js';
import { createInferenceServer, type InferenceServer } from '#agent/serve/server.js';
import type { BuildRequest } from '#hub/publisher/build.js';
import type { ModelManifest } from '#shared/bundle/model-manifest.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import { type Datatype, elementSize } from '#shared/tensor/datatype.js';
import { jsonPieces } from '#shared/tensor/json-write.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { windowSchema } from '#shared/protocol/messages.js';
import { DEFAULT_TOLERANCE } from '#hub/publisher/build.js';
import { buildServable } from '../../kit/built-servable.js';
import * as models from '../../kit/onnx-models.js';
import { fp32, memoryKeyValue, modelName, versionNumber, writeServable } from '../../kit/servables.js';

// Models as people have them, from the publisher's file to the answer over HTTP.

const recorder = new MetricsRecorder();
let runtime: InferenceRuntime;
let server: InferenceServer;
let base = '';

beforeAll(async () => {
  runtime = createInferenceRuntime({ store: memoryKeyValue(), recorder, logger: silentLogger });
  await runtime.start();
  server = await createInferenceServer({
    dataPlane: runtime,
    feedback: recorder,
    requests: new RequestCounts(),
    metricsText: () => '',
    status: () => ({}),
    agentVersion: '0.1.0',
    logger: silentLogger,
    config: { tcp: { host: '127.0.0.1', port: 0 } },
  });
  await server.start();
  base = `http://127.0.0.1:${server.address.tcp?.port}`;
});
afterAll(async () => {
  await server.close();
  await runtime.close();
});

async function publish(bytes: Uint8Array, name: string, options: Partial<BuildRequest> = {}): Promise<ModelManifest> {
  const { manifest, spec } = await buildServable(bytes, name, options);
  await runtime.load(spec);
  runtime.route(modelName(name), versionNumber(1));
  return manifest;
}

interface Body {
  readonly outputs?: readonly { readonly name: string; readonly shape: readonly number[]; readonly data: readonly number[] }[];
  readonly error?: string;
}

async function infer(name: string, body: object): Promise<{ readonly status: number; readonly body: Body }> {
  const response = await fetch(`${base}/v2/models/${name}/infer`, { method: 'POST', body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Body };
}
/** The JSON part of an answer, and the binary data behind it. */
async function inferBytes(
  name: string,
  head: object,
  data: readonly Uint8Array[] = [],
): Promise<{ readonly body: Body; readonly data: Buffer }> {
  const json = Buffer.from(JSON.stringify(head));
  const response = await fetch(`${base}/v2/models/${name}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(json.byteLength) },
    body: Buffer.concat([json, ...data]),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get('inference-header-content-length'));
  return { body: JSON.parse(bytes.subarray(0, length).toString()) as Body, data: bytes.subarray(length) };
}

/** Binary outputs as tensors of the datatypes and shapes of those that were sent. */
function split({ data }: { readonly data: Buffer }, sent: readonly Tensor[]): readonly Tensor[] {
  let at = 0;
  return sent.map((tensor) => ({ ...tensor, data: data.subarray(at, (at += tensor.data.byteLength)) }));
}

const x = (name: string, shape: readonly number[], data: readonly number[]) => ({ name, shape, datatype: 'FP32', data });

describe("names of a model's own (15), all the way", () => {
  const NAMES = [
    'inputs/ids',
    'outputs/y',
    'serving_default/x:0',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '__metadata__',
    '0',
    ' ',
    'Zahl ä€😀',
    'a\nb"c',
    'long/'.repeat(200),
  ];

  test('are published, golden, answered in JSON and in binary, and counted', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-names-'));
    const golden = path.join(folder, 'given.json');
    const tensors = Object.fromEntries(NAMES.map((name) => [name, { data: [1, 2] }]));
    await writeFile(golden, JSON.stringify({ inputs: tensors }));
    const manifest = await publish(models.namedModel(NAMES), 'names', { golden: [golden] });
    expect(manifest.inputs.map(({ name }) => name)).toEqual(NAMES);

    recorder.take();
    const inputs = NAMES.map((name, index) => x(name, [2], [index + 1, 1]));
    const json = await infer('names', { inputs });
    expect(json.status).toBe(200);
    expect(json.body.outputs).toEqual(NAMES.map((name, index) => ({ ...x(`out ${name}`, [2], [-index - 1, -1]) })));

    const head = JSON.stringify({
      inputs: NAMES.map((name) => ({ name, shape: [2], datatype: 'FP32', parameters: { binary_data_size: 8 } })),
      outputs: NAMES.map((name) => ({ name: `out ${name}`, parameters: { binary_data: true } })),
    });
    const data = Buffer.concat(NAMES.map((_name, index) => fp32([2], [index + 1, 1]).data));
    const response = await fetch(`${base}/v2/models/names/infer`, {
      method: 'POST',
      headers: { 'inference-header-content-length': String(Buffer.byteLength(head)) },
      body: Buffer.concat([Buffer.from(head), data]),
    });
    expect(response.status).toBe(200);
    const bytes = Buffer.from(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length'));
    const answered = JSON.parse(bytes.subarray(0, length).toString()) as Body;
    expect(answered.outputs?.map(({ name }) => name)).toEqual(NAMES.map((name) => `out ${name}`));
    expect(bytes.readFloatLE(length + 8)).toBe(-2);

    const feedback = await fetch(`${base}/v2/models/names/versions/1/feedback`, {
      method: 'POST',
      body: JSON.stringify({ correct: true }),
    });
    expect(feedback.status).toBeLessThan(300);
    const [window] = recorder.take().map((series) => series.toWindow());
    expect(windowSchema.parse(window)).toMatchObject({ predictions: 2, feedback: { total: 1, wrong: 0 } });
    expect(Object.keys(window?.outputs ?? {})).toHaveLength(8);
  });

  test('as outputs too, `__proto__` among them, and none is taken from the prototype of objects', async () => {
    const outputs = ['__proto__', 'constructor', '__metadata__', 'long/'.repeat(200)];
    await publish(
      models.namedModel(
        outputs.map((name) => `in ${name}`),
        (name) => name.slice(3),
      ),
      'proto',
    );
    recorder.take();
    const inputs = outputs.map((name) => x(`in ${name}`, [2], [1, 2]));
    const answer = await infer('proto', { inputs });
    expect(answer.body.outputs).toEqual(outputs.map((name) => x(name, [2], [-1, -2])));
    expect((await infer('proto', { inputs, outputs: [{ name: '__proto__' }] })).body.outputs).toEqual([x('__proto__', [2], [-1, -2])]);
    expect((await infer('proto', { inputs, outputs: [{ name: 'toString' }] })).status).toBe(400);
    expect((await infer('proto', { inputs: inputs.slice(1) })).body.error).toMatch(/input "in __proto__" is missing/);
    const [window] = recorder.take().map((series) => series.toWindow());
    const labels = Object.keys(window?.outputs ?? {});
    expect(labels).toEqual(['(__proto__)', 'constructor', '__metadata__', expect.stringMatching(/^long\/.{91}\.\.\.[0-9a-f]{8}$/)]);
    expect(windowSchema.parse(window).outputs).toHaveProperty(['(__proto__)']);
  });
});

describe('outputs (5)', () => {
  test('that are no tensors are left out, and never asked of the runtime', async () => {
    const manifest = await publish(models.classifierModel(), 'zipmap', { outputs: ['label'] });
    expect(manifest.outputs).toEqual([{ name: 'label', datatype: 'INT64', shape: [-1] }]);
    const answer = await infer('zipmap', { inputs: [x('x', [2, 2], [3, 0, 0, 3])] });
    expect(answer.body.outputs).toEqual([{ name: 'label', datatype: 'INT64', shape: [2], data: [0, 1] }]);
    expect((await infer('zipmap', { inputs: [x('x', [1, 2], [3, 0])], outputs: [{ name: 'probabilities' }] })).status).toBe(400);
  });

  test('that are tensors can be left out too', async () => {
    const manifest = await publish(models.classifierModel({ zipMap: false }), 'nozipmap', { outputs: ['probabilities'] });
    expect(manifest.outputs.map(({ name }) => name)).toEqual(['probabilities']);
    const answer = await infer('nozipmap', { inputs: [x('x', [1, 2], [3, 0])] });
    expect(answer.body.outputs?.map(({ name, shape }) => [name, shape])).toEqual([['probabilities', [1, 3]]]);
  });
});

describe('models of scikit-learn', () => {
  test('are published whole: scores by class come as a row of each sample, in JSON and in binary, and the classes have names', async () => {
    const manifest = await publish(models.classifierModel(), 'iris', { maxBatchSize: 8 });
    expect(manifest.requires).toEqual(['onnx-zipmap']);
    expect(manifest.outputs).toEqual([
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
    ]);
    const request = { inputs: [x('x', [2, 2], [3, 0, 0, 3])] };
    const { body } = await infer('iris', request);
    expect(body.outputs?.map(({ name, shape }) => [name, shape])).toEqual([
      ['label', [2]],
      ['probabilities', [2, 3]],
    ]);
    const [a = 0, b = 0, c = 0] = body.outputs?.[1]?.data ?? [];
    expect(a + b + c).toBeCloseTo(1, 5);
    const binary = await inferBytes('iris', { ...request, outputs: [{ name: 'probabilities', parameters: { binary_data: true } }] });
    expect([binary.data.readFloatLE(0), binary.data.byteLength]).toEqual([a, 24]);
    const repository = fleetRepository(runtime);
    expect(repository.classNames(modelName('iris'), 'probabilities')).toEqual(['0', '1', '2']);
    expect(repository.classNames(modelName('iris'), 'label')).toBeUndefined();
  });
});

describe('element types', () => {
  const DATATYPE_NAMES = Object.keys(models.ELEMENT_TYPES) as Datatype[];
  /** Any bits of a datatype; strings that the runtime can carry. */
  const dataOf = (datatype: Datatype, count: number): fc.Arbitrary<Uint8Array> => {
    const size = elementSize(datatype);
    const text = fc.string({ unit: 'grapheme', maxLength: 5 }).map((value) => Buffer.from(value.replaceAll('\0', '')));
    if (size === undefined) return fc.array(text, { minLength: count, maxLength: count }).map(joinBytesElements);
    const bytes = { minLength: count * size, maxLength: count * size };
    return fc.uint8Array(datatype === 'BOOL' ? { ...bytes, max: 1 } : bytes);
  };
  const everyTensor = (shape: readonly number[]): fc.Arbitrary<readonly Tensor[]> =>
    fc.tuple(...DATATYPE_NAMES.map((datatype) => dataOf(datatype, shape[0] ?? 1).map((data): Tensor => ({ datatype, shape, data }))));
  /** Numbers are written as they are sent: Python's clients and ours alike. */
  const textsOf = (tensors: readonly Tensor[]): readonly string[] => tensors.map((tensor) => [...jsonPieces(tensor)].join(''));

  test.each([
    ['vectors', ['n'], fc.integer({ min: 1, max: 4 }).map((size) => [size])],
    ['scalars', [], fc.constant([])],
  ] as const)('%s of all of them go through a model in JSON and in binary, with every digit', async (name, declared, shapes) => {
    const { requires } = await publish(
      models.everyTypeModel(() => declared),
      `every-${name}`,
    );
    expect(requires).toEqual(['onnx-bfloat16']);
    const tensors = shapes.chain(everyTensor);
    const url = `${base}/v2/models/every-${name}/infer`;
    await fc.assert(
      fc.asyncProperty(tensors, async (sent) => {
        const described = sent.map(({ datatype, shape }) => ({ name: datatype, datatype, shape }));
        const texts = textsOf(sent);
        const inputs = described.map((input, index) => `${JSON.stringify(input).slice(0, -1)},"data":${texts[index]}}`);
        const answer = await fetch(url, { method: 'POST', body: `{"inputs":[${inputs.join()}]}` });
        const text = await answer.text();
        const outputs = described.map((input, index) => {
          return `${JSON.stringify({ ...input, name: `out ${input.name}` }).slice(0, -1)},"data":${texts[index]}}`;
        });
        expect(text).toContain(`"outputs":[${outputs.join()}]`);

        const head = described.map((input, index) => ({ ...input, parameters: { binary_data_size: sent[index]?.data.byteLength } }));
        const given = await inferBytes(
          `every-${name}`,
          { inputs: head, parameters: { binary_data_output: true } },
          sent.map(({ data }) => data),
        );
        expect(textsOf(split(given, sent))).toEqual(texts);
      }),
      { numRuns: 25 },
    );
  });
});

describe('shapes (9)', () => {
  test('an input without a declared shape takes any, a scalar and a matrix alike', async () => {
    const manifest = await publish(models.shapelessModel(), 'shapeless');
    expect(manifest.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: [], anyShape: true }]);
    expect(manifest.requires).toEqual(['any-shape']);
    for (const shape of [[], [2], [1, 2], [1, 1, 1, 2]]) {
      const data = shape.length === 0 ? [1] : [1, 2];
      expect((await infer('shapeless', { inputs: [x('x', shape, data)] })).body.outputs).toMatchObject([
        { shape, data: data.map((one) => -one) },
      ]);
    }
    const metadata = (await (await fetch(`${base}/v2/models/shapeless`)).json()) as { readonly inputs: unknown };
    expect(metadata.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: [-1], any_shape: true }]);
  });

  test('an output declared with another shape, or none, is served as it comes', async () => {
    for (const [name, declared] of [
      ['undeclared', undefined],
      ['misdeclared', [7, 7, 7]],
    ] as const) {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-shapes-'));
      const golden = path.join(folder, 'given.json');
      await writeFile(golden, JSON.stringify({ inputs: { x: { shape: [4], data: [1, 2, 3, 4] }, shape: { shape: [2], data: [2, 2] } } }));
      const manifest = await publish(models.reshapeModel(declared === undefined ? {} : { declared }), name, { golden: [golden] });
      expect(manifest.outputs).toEqual([{ name: 'y', datatype: 'FP32', shape: [-1, -1] }]);
      const shape = { name: 'shape', shape: [2], datatype: 'INT64', data: [1, 4] };
      expect((await infer(name, { inputs: [x('x', [4], [1, 2, 3, 4]), shape] })).body.outputs).toMatchObject([{ shape: [1, 4] }]);
    }
  });
});

test('a model of ai.onnx.ml alone (10), one without inputs (13) and one of 300 inputs (13) are served', async () => {
  const scaler = await publish(models.scalerModel(), 'scaler');
  expect(scaler.variants).toMatchObject([{ name: 'fp32', format: 'onnx' }]);
  expect(scaler.variants[0]).not.toHaveProperty('opset');
  expect((await infer('scaler', { inputs: [x('x', [1, 2], [2, 3])] })).body.outputs).toMatchObject([{ data: [2, 4] }]);
  await publish(models.constantModel(), 'constant');
  expect((await infer('constant', { inputs: [] })).body.outputs).toMatchObject([{ data: [1, 2] }]);
  const names = Array.from({ length: 300 }, (_, index) => `input ${index}`);
  await publish(models.namedModel(names), 'many');
  expect((await infer('many', { inputs: names.map((name) => x(name, [2], [1, 1])) })).body.outputs).toHaveLength(300);
});

test('a random model is published with a check of types and shapes alone (16), and served', async () => {
  const manifest = await publish(models.randomModel(), 'random', { tolerance: { ...DEFAULT_TOLERANCE, shapeOnly: true } });
  expect(manifest.goldenSamples[0]?.tolerance).toEqual({ ...DEFAULT_TOLERANCE, shapeOnly: true });
  expect(manifest.requires).toEqual(['golden-shape-only']);
  expect((await infer('random', { inputs: [x('x', [1, 4], [0, 0, 0, 0])] })).status).toBe(200);
  expect(await runtime.recheck(modelName('random'), versionNumber(1))).toMatchObject({ wrong: 0 });
});

test('a version that failed is not said to be ready in a moment (14)', async () => {
  const spec = await writeServable(models.affineModel({ bias: 9 }), { model: 'failed' });
  await expect(runtime.load(spec)).rejects.toThrow(/golden sample/);
  const answer = await infer('failed', { inputs: [x('x', [1, 4], [0, 0, 0, 0])] });
  expect(answer.body).toMatchObject({
    code: 'INFERENCE_SERVABLE_FAILED',
    error: expect.stringMatching(/failed@1 failed: .*golden sample/) as unknown,
  });
  const ready = await fetch(`${base}/v2/models/failed/ready`);
  expect(await ready.json()).toMatchObject({ code: 'INFERENCE_SERVABLE_FAILED' });
});
