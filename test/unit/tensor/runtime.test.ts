import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadOrt, OrtSession } from '#agent/inference/instances/ort-session.js';
import { withModel } from '#hub/publisher/inspect.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { Tensor } from '#shared/tensor/tensor.js';
import { model, node, ONNX_TYPES, type OnnxType, valueInfo } from '../../kit/onnx-proto.js';

// Also run by test/packaging/shipped-node.test.ts on the Node.js that packages hold: what holds the elements differs between releases.

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-tensors-'));
});
afterAll(() => rm(folder, { recursive: true }));

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const wide = (size: number): Uint8Array => Uint8Array.from({ length: 6 * size }, (_, at) => (at * 37 + 11) % 251);
const texts = (...elements: string[]): Uint8Array => joinBytesElements(elements.map((element) => Buffer.from(element)));

/** Of each element type: 6 elements with unlike bits; FP16 has 1, -2, the smallest number, the largest, infinity and -0. */
const TYPES: readonly (readonly [Tensor['datatype'], OnnxType, Uint8Array])[] = [
  ['BOOL', ONNX_TYPES.BOOL, bytes(0, 1, 1, 0, 1, 0)],
  ['UINT8', ONNX_TYPES.UINT8, wide(1)],
  ['UINT16', ONNX_TYPES.UINT16, wide(2)],
  ['UINT32', ONNX_TYPES.UINT32, wide(4)],
  ['UINT64', ONNX_TYPES.UINT64, wide(8)],
  ['INT8', ONNX_TYPES.INT8, wide(1)],
  ['INT16', ONNX_TYPES.INT16, wide(2)],
  ['INT32', ONNX_TYPES.INT32, wide(4)],
  ['INT64', ONNX_TYPES.INT64, wide(8)],
  ['FP16', ONNX_TYPES.FLOAT16, bytes(0, 0x3c, 0, 0xc0, 1, 0, 0xff, 0x7b, 0, 0x7c, 0, 0x80)],
  // 1, -2.5, the smallest number, the largest, infinity and -0.
  ['BF16', ONNX_TYPES.BFLOAT16, bytes(0x80, 0x3f, 0x20, 0xc0, 1, 0, 0x7f, 0x7f, 0x80, 0x7f, 0, 0x80)],
  ['FP32', ONNX_TYPES.FLOAT, wide(4)],
  ['FP64', ONNX_TYPES.DOUBLE, wide(8)],
  ['BYTES', ONNX_TYPES.STRING, texts('a', '', 'größe', '😀', 'b', 'c')],
];

async function identity(type: OnnxType, shape: readonly (number | string)[]): Promise<string> {
  const path = join(folder, `identity-${type}-${shape.length}.onnx`);
  const parts = { nodes: [node('Identity', ['x'], ['y'])], inputs: [valueInfo('x', type, shape)], outputs: [valueInfo('y', type, shape)] };
  await writeFile(path, model(parts));
  return path;
}

async function throughBoth(path: string, x: Tensor): Promise<readonly (Tensor | undefined)[]> {
  const published = await withModel(path, [], (_inspection, loaded) => loaded.run({ x }));
  const served = await OrtSession.open(await loadOrt(), path, 'cpu', 1);
  try {
    return [published['y'], (await served.run({ x }, undefined))['y']];
  } finally {
    await served.close();
  }
}

describe('tensors through the runtime, at the publisher and on the device', () => {
  it.each(TYPES)('%s comes out as it went in: of two dimensions, none, and without elements', async (datatype, type, data) => {
    const matrix: Tensor = { datatype, shape: [2, 3], data };
    for (const y of await throughBoth(await identity(type, ['n', 3]), matrix)) expect(y).toEqual(matrix);
    const one = datatype === 'BYTES' ? texts('a') : data.slice(0, data.byteLength / 6);
    const scalar: Tensor = { datatype, shape: [], data: one };
    for (const y of await throughBoth(await identity(type, []), scalar)) expect(y).toEqual(scalar);
    const empty: Tensor = { datatype, shape: [0, 3], data: new Uint8Array() };
    for (const y of await throughBoth(await identity(type, ['n', 3]), empty)) expect(y).toEqual(empty);
  });

  it('FP16 is computed with, not only passed on', async () => {
    const path = join(folder, 'half.onnx');
    const half = (name: string): Uint8Array => valueInfo(name, ONNX_TYPES.FLOAT16, ['n']);
    await writeFile(path, model({ nodes: [node('Add', ['x', 'x'], ['y'])], inputs: [half('x')], outputs: [half('y')] }));
    // At an odd address, as views over a request's body are.
    const data = bytes(9, 0, 0x3c, 0, 0x40).subarray(1);
    for (const y of await throughBoth(path, { datatype: 'FP16', shape: [2], data })) {
      expect(y).toEqual({ datatype: 'FP16', shape: [2], data: bytes(0, 0x40, 0, 0x44) });
    }
  });
});
