import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOnnxFile } from '#hub/publisher/onnx-file.js';
import { formatOnnxType } from '#shared/onnx/onnx-types.js';
import { variantNameOf } from '#hub/publisher/variant-name.js';
import { coded } from '../../../kit/coded.js';
import * as models from '../../../kit/onnx-models.js';
import {
  model,
  modelHead,
  node,
  ONNX_TYPES,
  type OnnxType,
  tensor,
  tensorType,
  typeOf,
  valueInfo,
  valueOfType,
} from '../../../kit/onnx-proto.js';
import { bytesField, concat, intField, varint } from '#shared/onnx/protobuf-writer.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(bytes: Uint8Array): Promise<string> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, bytes);
  return path;
}

describe('readOnnxFile', () => {
  it('reads versions, operator sets, producer, operators, weights, inputs and outputs', async () => {
    const bytes = models.affineModel();
    const value = (name: string) => ({ name, type: { kind: 'tensor', element: 'float', shape: ['batch', 4] } });
    expect(readOnnxFile(await file(bytes))).toEqual({
      sizeBytes: bytes.length,
      irVersion: 8,
      opset: 17,
      opsets: { '': 17 },
      producer: { name: 'skerry-test-kit', version: '1' },
      metadata: [],
      operators: [
        { domain: 'ai.onnx', name: 'Add', count: 1 },
        { domain: 'ai.onnx', name: 'Mul', count: 1 },
      ],
      weights: { float: 2 },
      inputs: [value('x')],
      outputs: [value('y')],
      externalFiles: [],
    });
  });

  it('reads a real model, with the operators in its subgraphs', () => {
    const silero = readOnnxFile('node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx');
    expect(silero).toMatchObject({ opset: 16, irVersion: 8 });
    expect(silero.sizeBytes).toBeGreaterThan(2_000_000);
    expect(silero.operators.find(({ name }) => name === 'LSTM')?.count).toBeGreaterThan(0);
  });

  it('skips weights unread, so that size costs nothing', async () => {
    const path = join(folder, 'large.onnx');
    await models.writeInflatedModel(path, { megabytes: 64 });
    const before = process.memoryUsage().rss;
    expect(readOnnxFile(path).sizeBytes).toBeGreaterThan(64 * 1024 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(16 * 1024 * 1024);
  });

  it('tells that weights lie in other files, and in which', async () => {
    expect(readOnnxFile(await file(models.externalDataModel())).externalFiles).toEqual(['weights.bin']);
  });

  it('tells a scalar from an unknown number of dimensions (9), and writes types of any kind in words (5)', async () => {
    const { FLOAT, INT64, STRING } = ONNX_TYPES;
    const map = typeOf.map(STRING, tensorType(FLOAT, []));
    const types: readonly (readonly [string, Uint8Array])[] = [
      ['scalar', tensorType(FLOAT, [])],
      ['unknown', tensorType(FLOAT)],
      ['maps', typeOf.sequence(map)],
      ['map', map],
      ['tensors', typeOf.sequence(tensorType(INT64, ['n']))],
      ['maybe', typeOf.optional(typeOf.sequence(tensorType(FLOAT)))],
    ];
    const bytes = model({ nodes: [], inputs: [], outputs: types.map(([name, type]) => valueOfType(name, type)) });
    const { outputs } = readOnnxFile(await file(bytes));
    expect(outputs.map(({ type }) => formatOnnxType(type))).toEqual([
      'float',
      'float',
      'sequence(map(string,float))',
      'map(string,float)',
      'sequence(tensor(int64))',
      'optional(sequence(tensor(float)))',
    ]);
    expect(outputs.slice(0, 2).map(({ type }) => type)).toEqual([
      { kind: 'tensor', element: 'float', shape: [] },
      { kind: 'tensor', element: 'float', shape: undefined },
    ]);
  });

  it.each<[string, Uint8Array]>([
    ['no operator set but ai.onnx.ml', models.scalerModel()],
    ['no operator set at all', bytesField(7, bytesField(2, 'graph'))],
    [
      'fields nobody knows, groups among them',
      concat(models.affineModel(), intField(90, 7), varint(91 * 8 + 3), intField(1, 1), varint(91 * 8 + 4)),
    ],
    ['a graph in two parts, which protobuf joins', concat(models.affineModel(), bytesField(7, bytesField(10, 'more')))],
    [
      'sizes of a weight written packed',
      concat(modelHead(), bytesField(7, bytesField(5, concat(bytesField(1, concat(varint(3), varint(4))), intField(2, 1))))),
    ],
  ])('is never stricter than the runtime (10): %s', async (_what, bytes) => {
    expect(readOnnxFile(await file(bytes))).not.toHaveProperty('unreadable');
  });

  it('counts weights whose sizes are packed or not', async () => {
    const packed = concat(bytesField(1, concat(varint(3), varint(4))), intField(2, ONNX_TYPES.FLOAT16));
    const plain = tensor('w', ONNX_TYPES.INT8, [5, 2], new Uint8Array(10));
    const bytes = concat(modelHead(), bytesField(7, concat(bytesField(5, packed), bytesField(5, plain))));
    expect(readOnnxFile(await file(bytes)).weights).toEqual({ float16: 12, int8: 10 });
  });

  it('says where it had to stop, with what stands before', async () => {
    const whole = models.affineModel();
    expect(readOnnxFile(await file(whole.subarray(0, 60)))).toMatchObject({ irVersion: 8, opset: 17, unreadable: { ended: true } });
    expect(readOnnxFile(await file(new TextEncoder().encode('hello, I am no model')))).toHaveProperty('unreadable');
    expect(readOnnxFile(await file(new Uint8Array()))).toMatchObject({ irVersion: 0, inputs: [], outputs: [] });
  });

  it('reads what exporters noted, such as labels (16)', async () => {
    const labels = JSON.stringify(Array.from({ length: 1000 }, (_, index) => `label ${index}`));
    const bytes = model({ nodes: [], inputs: [], outputs: [] }, { metadata: { names: labels, __proto__x: 'yes' } });
    expect(readOnnxFile(await file(bytes)).metadata).toEqual([
      { key: 'names', value: labels },
      { key: '__proto__x', value: 'yes' },
    ]);
  });

  it('ends with a result for any bytes', async () => {
    const path = join(folder, 'any.onnx');
    const real = models.loopModel({ iterations: 3 });
    const damaged = fc
      .tuple(fc.nat(real.length - 1), fc.nat(255))
      .map(([at, byte]) => Uint8Array.from(real, (value, index) => (index === at ? byte : value)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), async (bytes) => {
        await writeFile(path, bytes);
        expect(readOnnxFile(path).sizeBytes).toBe(bytes.length);
      }),
      { numRuns: 300 },
    );
  });

  it('says when there is no file', () => {
    expect(() => readOnnxFile(join(folder, 'nothing.onnx'))).toThrow(coded('IO_FAILED'));
  });
});

describe('the name of a variant (14)', () => {
  const of = (
    type: OnnxType,
    nodes: readonly Uint8Array[] = [node('Neg', ['x'], ['y'])],
    values: OnnxType = ONNX_TYPES.FLOAT,
  ): Uint8Array =>
    model({
      nodes,
      inputs: [valueInfo('x', values, [1])],
      outputs: [valueInfo('y', values, [1])],
      initializers: [tensor('w', type, [8], new Uint8Array(64)), tensor('shape', ONNX_TYPES.INT64, [64], new Uint8Array(512))],
    });
  const quantized = [node('DynamicQuantizeLinear', ['x'], ['q']), node('MatMulInteger', ['q', 'w'], ['y'])];

  it.each<[string, Uint8Array]>([
    ['fp32', of(ONNX_TYPES.FLOAT)],
    ['fp16', of(ONNX_TYPES.FLOAT16)],
    ['fp16', of(ONNX_TYPES.INT64, undefined, ONNX_TYPES.FLOAT16)],
    ['fp64', of(ONNX_TYPES.DOUBLE)],
    ['bf16', of(ONNX_TYPES.BFLOAT16)],
    ['int8', of(ONNX_TYPES.INT8, quantized)],
    ['fp32', of(ONNX_TYPES.UINT8)],
    ['int4', of(ONNX_TYPES.UINT8, [node('MatMulNBits', ['x', 'w'], ['y'], [], 'com.microsoft')])],
    ['original', of(ONNX_TYPES.INT64, undefined, ONNX_TYPES.STRING)],
    ['fp32', models.classifierModel()],
  ])('is %s by what the file holds', async (name, bytes) => {
    expect(variantNameOf(readOnnxFile(await file(bytes)))).toBe(name);
  });
});
