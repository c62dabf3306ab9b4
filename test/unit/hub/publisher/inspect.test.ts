import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectModel, withModel } from '#hub/publisher/inspect.js';
import { writeNpy } from '#shared/tensor/npy.js';
import { writeSafetensors } from '#shared/tensor/safetensors.js';
import { coded } from '../../../kit/coded.js';
import * as models from '../../../kit/onnx-models.js';
import { model, node, ONNX_TYPES, valueInfo } from '../../../kit/onnx-proto.js';
import { fp32 } from '../../../kit/servables.js';
import { zipFile } from '../../../kit/zip-file.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-inspect-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(bytes: Uint8Array | string, name = 'model.onnx'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
const take = async (bytes: Uint8Array, outputs: readonly string[] = []): Promise<readonly string[]> =>
  withModel(await file(bytes), outputs, (_inspection, loaded) => Promise.resolve(loaded.outputs.map(({ spec }) => spec.name)));

describe('outputs of any type (5)', () => {
  it('are shown, with the type of those that are no tensors', async () => {
    const inspection = await inspectModel(await file(models.wrappedMapsModel()));
    expect(inspection.outputs.map(({ name, type, tensor }) => [name, type, tensor !== undefined])).toEqual([
      ['scores', 'FP32', true],
      ['maps', 'sequence(map(int64,float))', false],
    ]);
  });

  it('are refused for a version with both remedies, and can be left out', async () => {
    const refused = take(models.wrappedMapsModel());
    await expect(refused).rejects.toThrow(coded('OUTPUT_NOT_SERVABLE', /"maps" is sequence.*zipmap=False.*--output scores/));
    expect(await take(models.wrappedMapsModel(), ['scores'])).toEqual(['scores']);
    await expect(take(models.wrappedMapsModel(), ['scores', 'maps'])).rejects.toThrow(coded('OUTPUT_NOT_SERVABLE'));
    await expect(take(models.classifierModel(), ['labels'])).rejects.toThrow(coded('OUTPUT_UNKNOWN', /no output "labels", it has "label"/));
  });
});

describe('shapes and element types', () => {
  it('an unknown number of dimensions is no scalar (9)', async () => {
    const { inputs, outputs } = await inspectModel(await file(models.shapelessModel()));
    expect(inputs).toMatchObject([{ dimensions: undefined, tensor: { spec: { shape: [], anyShape: true } } }]);
    expect(outputs).toMatchObject([{ dimensions: undefined, tensor: { spec: { anyShape: true } } }]);
    const scalar = model({
      nodes: [node('Neg', ['x'], ['y'])],
      inputs: [valueInfo('x', ONNX_TYPES.FLOAT, [])],
      outputs: [valueInfo('y', ONNX_TYPES.FLOAT, [])],
    });
    const inspected = await inspectModel(await file(scalar));
    expect(inspected.inputs).toMatchObject([{ dimensions: [], tensor: { spec: { shape: [] } } }]);
    expect(inspected.inputs[0]?.tensor?.spec).not.toHaveProperty('anyShape');
  });

  it('one that the runtime cannot pass on is named, and shown all the same (2)', async () => {
    const x = valueInfo('x', ONNX_TYPES.COMPLEX64, [4]);
    const bytes = model({ nodes: [node('Identity', ['x'], ['y'])], inputs: [x], outputs: [valueInfo('y', ONNX_TYPES.COMPLEX64, [4])] });
    const inspection = await inspectModel(await file(bytes));
    expect(inspection.inputs).toMatchObject([{ name: 'x', type: 'complex64', dimensions: [4] }]);
    expect(inspection.problem).toEqual(coded('ONNX_UNLOADABLE', /complex64/));
    await expect(take(bytes)).rejects.toThrow(coded('ONNX_UNLOADABLE', /complex64/));
  });
});

describe('bounds are checked before anything is run (13)', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['a name beyond its length', models.namedModel(['ä'.repeat(600)]), /name of input "ä{64}\.\.\." has 1200 bytes, at most 1024/],
    ['too many outputs', models.namedModel(Array.from({ length: 4097 }, (_, index) => `x${index}`)), /4097 inputs, at most 4096/],
  ])('%s', async (_what, bytes, message) => {
    await expect(take(bytes)).rejects.toThrow(coded('MODEL_UNSUPPORTED', message));
  });

  it('names of 1024 bytes, a model without inputs and one that imports ai.onnx.ml alone (10) are taken', async () => {
    expect(await take(models.namedModel(['n'.repeat(1020)]))).toEqual([`out ${'n'.repeat(1020)}`]);
    expect(await take(models.constantModel())).toEqual(['y']);
    expect(await take(models.scalerModel())).toEqual(['y']);
  });
});

describe('what is no model is named, with the next step (14)', () => {
  const head = (...bytes: number[]): Uint8Array => Uint8Array.from([...bytes, ...new Uint8Array(64)]);
  const tar = Buffer.alloc(600);
  tar.write('ustar', 257);
  const lfs = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n';

  it.each<[string, Uint8Array | string, RegExp]>([
    ['nothing', '', /is an empty file: copy or download/],
    ['a Git LFS pointer', lfs, /Git LFS pointer.*"git lfs pull"/],
    ['a web page', '\n<!DOCTYPE html><html><body>Not found</body></html>', /web page \(HTML\): download the file itself/],
    ['a zip archive', zipFile({ 'model.onnx': Buffer.from('x') }), /zip archive: unpack it/],
    ['a PyTorch checkpoint', zipFile({ 'resnet/data.pkl': Buffer.from('x') }), /PyTorch checkpoint.*torch\.onnx\.export/],
    ['a Keras model', zipFile({ 'metadata.json': Buffer.from('{}'), 'config.json': Buffer.from('{}') }), /Keras model.*tf2onnx/],
    ['arrays', zipFile({ 'x.npy': writeNpy(fp32([1], [1]), 'x') }), /npz file.*--golden/],
    ['a gzip archive', gzipSync('model'), /gzip archive/],
    ['a tar archive', tar, /tar archive/],
    ['HDF5', head(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a), /HDF5 file, as Keras/],
    ['TensorFlow Lite', head(0x1c, 0, 0, 0, 0x54, 0x46, 0x4c, 0x33), /TensorFlow Lite/],
    ['a pickle', head(0x80, 4, 0x95), /Python pickle/],
    ['safetensors', writeSafetensors({ w: fp32([1], [1]) }), /safetensors file, which holds weights/],
    ['JSON', '{"a": 1}', /JSON file/],
    ['text', '404: Not Found', /text file.*error of a download/],
    ['a file cut short', models.affineModel().subarray(0, 100), /is not complete: it has 100 bytes.*download it again/],
    ['a damaged file', head(0x0f, 0xff, 0xff), /not an ONNX file, or it is damaged/],
  ])('%s', async (_what, bytes, message) => {
    await expect(inspectModel(await file(bytes))).rejects.toThrow(coded('ONNX_INVALID', message));
  });

  it('what the runtime does not take is told in its own sentence, and the file shown', async () => {
    const parts = {
      nodes: [node('Neg', ['x'], ['y'])],
      inputs: [valueInfo('x', ONNX_TYPES.FLOAT, [1])],
      outputs: [valueInfo('y', ONNX_TYPES.FLOAT, [1])],
    };
    const inspection = await inspectModel(await file(model(parts, { opset: 999 })));
    expect(inspection).toMatchObject({ opset: 999, operators: [{ name: 'Neg' }] });
    expect(inspection.problem).toEqual(coded('ONNX_UNLOADABLE', /^model\.onnx cannot be loaded: ONNX Runtime only .*opset \d+\.$/));
    const external = await inspectModel(await file(models.externalDataModel()));
    expect(external.problem).toEqual(coded('ONNX_EXTERNAL_DATA', /weights in "weights\.bin"/));
  });
});
