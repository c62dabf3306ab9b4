import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadOrt, OrtSession } from '#agent/inference/instances/ort-session.js';
import { withModel } from '#hub/publisher/inspect.js';
import { bytesField, concat } from '#shared/onnx/protobuf-writer.js';
import { planModel } from '#shared/onnx/rewriting.js';
import { fromJson } from '#shared/tensor/json.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { coded } from '../../kit/coded.js';
import * as models from '../../kit/onnx-models.js';
import {
  attribute,
  graph,
  model,
  node,
  ONNX_TYPES,
  type OnnxType,
  tensorType,
  typeOf,
  valueInfo,
  valueOfType,
} from '../../kit/onnx-proto.js';
import { toJson } from '../../kit/tensor-json.js';

// Inputs and outputs that the runtime cannot hand over, through the publisher's session and the device's.

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-rewriting-'));
});
afterAll(() => rm(folder, { recursive: true }));

const { FLOAT, BFLOAT16, INT64, STRING } = ONNX_TYPES;
let files = 0;
async function file(bytes: Uint8Array): Promise<string> {
  const path = join(folder, `${files++}.onnx`);
  await writeFile(path, bytes);
  return path;
}

const values = (tensors: NamedTensors): unknown =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, [tensor.datatype, tensor.shape, toJson(tensor)]]));

/** What both sessions give for inputs, which is the same, and what they say of the model's ends. */
async function both(bytes: Uint8Array, inputs: NamedTensors, wanted: readonly string[] = []): Promise<unknown> {
  const path = await file(bytes);
  const [published, ends] = await withModel(
    path,
    wanted,
    async (inspection, loaded) =>
      [
        values(await loaded.run(inputs)),
        { inputs: loaded.inputs.map(({ spec }) => spec), outputs: loaded.outputs.map(({ spec }) => spec), features: inspection.features },
      ] as const,
  );
  const session = await OrtSession.open(await loadOrt(), path, 'cpu', 1, wanted.length === 0 ? {} : { offered: wanted });
  try {
    expect(values(await session.run(inputs, undefined))).toEqual(published);
    expect(session.inputs.map(({ name, datatype }) => [name, datatype])).toEqual(ends.inputs.map(({ name, datatype }) => [name, datatype]));
    const names = ends.outputs.map(({ name }) => name);
    expect(session.outputs.filter(({ name }) => names.includes(name)).map(({ datatype }) => datatype)).toEqual(
      ends.outputs.map(({ datatype }) => datatype),
    );
    return { gives: published, ...ends };
  } finally {
    await session.close();
  }
}

const x = (shape: readonly number[], data: readonly number[], datatype: Tensor['datatype'] = 'FP32'): NamedTensors => ({
  x: fromJson(datatype, shape, data, 'x'),
});
const vector = valueInfo('x', FLOAT, [4]);
const four = x([4], [1, -2.5, 0.1, 7]);

describe('scores by class (ZipMap)', () => {
  it('are the tensor that the maps were made of, under the name of the output; whole-number classes', async () => {
    const plain = await both(models.classifierModel({ zipMap: false }), x([2, 2], [1, 0, 0, 3]));
    const zipped = await both(models.classifierModel(), x([2, 2], [1, 0, 0, 3]));
    expect(zipped).toEqual({ ...(plain as object), features: ['onnx-zipmap'] });
    expect(zipped).toMatchObject({
      outputs: [
        { name: 'label', shape: [-1] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
      ],
    });
    for (const zipMap of [true, false]) {
      const { classNames } = planModel(await file(models.classifierModel({ zipMap })));
      expect([...classNames]).toEqual([['probabilities', ['0', '1', '2']]]);
    }
  });
});

describe('element types', () => {
  it.each([
    ['FLOAT8E4M3FN', 'FP32', [1, -2.5, 448, 0.1015625]],
    ['FLOAT8E4M3FNUZ', 'FP32', [1, -2.5, 240, 0.1015625]],
    ['FLOAT8E5M2', 'FP32', [1, -2.5, 57344, 0.09375]],
    ['FLOAT8E5M2FNUZ', 'FP32', [1, -2.5, 57344, 0.09375]],
  ] as const)('%s', async (type, datatype, data) => {
    const bytes = model(
      {
        nodes: [node('Identity', ['x'], ['y'])],
        inputs: [valueInfo('x', ONNX_TYPES[type], [4])],
        outputs: [valueInfo('y', ONNX_TYPES[type], [4])],
      },
      { opset: 19, irVersion: 10 },
    );
    expect(await both(bytes, x([4], data, datatype))).toMatchObject({ gives: { y: [datatype, [4], data] } });
  });
  it.each([
    ['UINT4', 'UINT8', [0, 15, 7, 8], 16],
    ['INT4', 'INT8', [0, -8, 7, -1], -9],
  ] as const)('%s is %s, in its own range', async (type, datatype, data, beyond) => {
    const cast = (from: string, to: string, element: number): Uint8Array => node('Cast', [from], [to], [attribute.int('to', element)]);
    const bytes = model(
      {
        nodes: [cast('x', 'f', FLOAT), cast('f', 'y', ONNX_TYPES[type])],
        inputs: [valueInfo('x', ONNX_TYPES[type], [4])],
        outputs: [valueInfo('y', ONNX_TYPES[type], [4])],
      },
      { opset: 21, irVersion: 10 },
    );
    expect(await both(bytes, x([4], data, datatype))).toMatchObject({
      gives: { y: [datatype, [4], data] },
      features: ['onnx-narrow-types'],
    });
    await expect(both(bytes, x([4], [0, beyond, 0, 0], datatype))).rejects.toThrow(coded('TENSOR_DATA', /element 1 is/));
  });

  it('BF16 computes, is captured by a subgraph, and passes an output that is an input', async () => {
    const branch = (value: string, name: string): Uint8Array =>
      graph({ nodes: [node('Identity', [value], [name])], inputs: [], outputs: [valueInfo(name, BFLOAT16, [2])] });
    const bytes = model({
      nodes: [
        node('If', ['c'], ['y'], [attribute.graph('then_branch', branch('x', 'a')), attribute.graph('else_branch', branch('x', 'b'))]),
        node('Cast', ['x'], ['z'], [attribute.int('to', FLOAT)]),
      ],
      inputs: [valueInfo('c', ONNX_TYPES.BOOL, []), valueInfo('x', BFLOAT16, [2])],
      outputs: [valueInfo('y', BFLOAT16, [2]), valueInfo('x', BFLOAT16, [2]), valueInfo('z', FLOAT, [2])],
    });
    const numbers = [1.5, -0.10009765625];
    const inputs = { c: fromJson('BOOL', [], [true], 'c'), ...x([2], numbers, 'BF16') };
    expect(await both(bytes, inputs)).toMatchObject({
      gives: { y: ['BF16', [2], numbers], x: ['BF16', [2], numbers], z: ['FP32', [2], numbers] },
      inputs: [{ datatype: 'BOOL' }, { name: 'x', datatype: 'BF16', shape: [2] }],
      features: ['onnx-bfloat16'],
    });
    // An output of that type which is not offered does not stand in the way of the others.
    expect(await both(bytes, inputs, ['z'])).toMatchObject({ gives: { z: ['FP32', [2], numbers] } });
  });
});

describe('sequences and optional values', () => {
  const sequence = (element: OnnxType, shape?: readonly (number | string)[]): Uint8Array => typeOf.sequence(tensorType(element, shape));
  const stacked = model({
    nodes: [node('Neg', ['x'], ['n']), node('SequenceConstruct', ['x', 'n'], ['y'])],
    inputs: [vector],
    outputs: [valueOfType('y', sequence(FLOAT, [4]))],
  });

  it('a sequence of tensors of one shape is stacked', async () => {
    expect(await both(stacked, four)).toMatchObject({
      gives: { y: ['FP32', [2, 4], expect.anything()] },
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
      features: ['onnx-sequences'],
    });
    const texts = model({
      nodes: [node('SequenceConstruct', ['x', 'x'], ['y'])],
      inputs: [valueInfo('x', STRING, [2])],
      outputs: [valueOfType('y', sequence(STRING))],
    });
    const ab = fromJson('BYTES', [2], ['a', 'ä'], 'x');
    expect(await both(texts, { x: ab })).toMatchObject({ gives: { y: ['BYTES', [2, 2], ['a', 'ä', 'a', 'ä']] } });
  });

  it('a sequence of tensors of several shapes fails, and says which output', async () => {
    const bytes = model({
      nodes: [node('Concat', ['x', 'x'], ['w'], [attribute.int('axis', 0)]), node('SequenceConstruct', ['x', 'w'], ['y'])],
      inputs: [vector],
      outputs: [valueOfType('y', sequence(FLOAT))],
    });
    await expect(both(bytes, four)).rejects.toThrow(/give output "y" as one tensor/);
  });

  it('a sequence as an input is taken apart along the first dimension', async () => {
    const bytes = model({
      nodes: [node('SequenceAt', ['s', 'i'], ['y'])],
      inputs: [valueOfType('s', sequence(INT64, [2])), valueInfo('i', INT64, [])],
      outputs: [valueInfo('y', INT64, [2])],
    });
    const inputs = { s: fromJson('INT64', [3, 2], [1, 2, 3, 4, 5, 6], 's'), i: fromJson('INT64', [], [1], 'i') };
    expect(await both(bytes, inputs)).toMatchObject({ gives: { y: ['INT64', [2], [3, 4]] }, inputs: [{ name: 's', shape: [-1, 2] }, {}] });
  });

  it('optional values are always given and always wanted; also around a sequence', async () => {
    const optional = typeOf.optional(tensorType(FLOAT, [4]));
    const bytes = model(
      { nodes: [node('Identity', ['x'], ['y'])], inputs: [valueOfType('x', optional)], outputs: [valueOfType('y', optional)] },
      { opset: 18 },
    );
    expect(await both(bytes, x([4], [1, 2, 3, 4.5]))).toMatchObject({
      gives: { y: ['FP32', [4], [1, 2, 3, 4.5]] },
      features: ['onnx-optionals'],
    });
    const nested = model(
      {
        nodes: [node('SequenceConstruct', ['x', 'x'], ['s']), node('Optional', ['s'], ['y'])],
        inputs: [vector],
        outputs: [valueOfType('y', typeOf.optional(sequence(FLOAT, [4])))],
      },
      { opset: 18 },
    );
    expect(await both(nested, four)).toMatchObject({
      gives: { y: ['FP32', [2, 4], expect.anything()] },
      features: ['onnx-optionals', 'onnx-sequences'],
    });
  });
});

describe('shapes', () => {
  it('a scalar is none of any shape', async () => {
    const scalar = model({ nodes: [node('Neg', ['x'], ['y'])], inputs: [valueInfo('x', FLOAT, [])], outputs: [valueInfo('y', FLOAT, [])] });
    for (const [bytes, anyShape] of [[models.shapelessModel(), true] as const, [scalar, undefined] as const]) {
      const session = await OrtSession.open(await loadOrt(), await file(bytes), 'cpu', 1);
      expect([...session.inputs, ...session.outputs].map((spec) => [spec.shape, spec.anyShape])).toEqual([
        [[], anyShape],
        [[], anyShape],
      ]);
      await session.close();
    }
  });
});

describe('what is not rewritten', () => {
  it('plain tensors, what is left out, what has no rule, and what cannot be read: no byte is copied', async () => {
    const maps = typeOf.map(INT64, tensorType(FLOAT, []));
    const others: readonly (readonly [Uint8Array, (readonly string[])?])[] = [
      [models.affineModel()],
      [models.classifierModel({ zipMap: false })],
      [models.classifierModel(), ['label']],
      [model({ nodes: [node('Identity', ['x'], ['y'])], inputs: [valueOfType('x', maps)], outputs: [valueOfType('y', maps)] })],
      [models.affineModel().subarray(0, 60)],
      [new Uint8Array(0)],
    ];
    for (const [bytes, wanted] of others) expect(planModel(await file(bytes), wanted).rewriting).toBeUndefined();
  });

  it('weights of such a type that the graph also lists as inputs', async () => {
    const weight = concat(bytesField(8, 'w'), new Uint8Array([0x08, 1, 0x10, BFLOAT16]), bytesField(9, new Uint8Array([0x80, 0x3f])));
    const bytes = model({
      nodes: [node('Identity', ['x'], ['y'])],
      inputs: [vector, valueInfo('w', BFLOAT16, [1])],
      outputs: [valueInfo('y', FLOAT, [4])],
      initializers: [weight],
    });
    expect(planModel(await file(bytes)).rewriting).toBeUndefined();
  });

  it('the same file always gives the same bytes, and what is not known stays', async () => {
    const unknown = bytesField(1999, 'kept');
    const bytes = concat(models.classifierModel(), unknown);
    const path = await file(bytes);
    const [first, second] = [planModel(path).rewriting?.bytes(), planModel(path).rewriting?.bytes()];
    expect(first).toEqual(second);
    expect(Buffer.from(first ?? []).includes(Buffer.from(unknown))).toBe(true);
    expect(Buffer.from(first ?? []).includes('ZipMap')).toBe(false);
  });
});
