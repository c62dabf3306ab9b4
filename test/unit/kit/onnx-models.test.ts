import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import * as models from '../../kit/onnx-models.js';

const x = Float32Array.of(0, 0.25, -1, 0.5);

async function run(bytes: Uint8Array, feeds: Record<string, ort.Tensor> = { x: new ort.Tensor('float32', x, [1, 4]) }) {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const { y } = await session.run(feeds, { logSeverityLevel: 4 });
  return Array.from(y!.data as Float32Array);
}

describe('test kit models', () => {
  it('load in the runtime and compute what they say', async () => {
    expect(await run(models.identityModel())).toEqual([...x]);
    expect(await run(models.affineModel({ scale: 4, bias: 0.5 }))).toEqual([0.5, 1.5, -3.5, 2.5]);
    expect(await run(models.loopModel({ iterations: 1000 }))).toEqual([...x]);
    expect(await run(models.slowModel({ width: 4, layers: 3 }))).toEqual([...x]);
    expect(await run(models.inflatedModel({ megabytes: 1 }))).toEqual([0, 0.5, -2, 1]);
    expect((await run(models.partlyWrongModel()))[0]).toBe(1);
    expect(await run(models.tableModel(), { index: new ort.Tensor('int64', [2n, 0n], [2]) })).toEqual([30, 10]);
    const session = await ort.InferenceSession.create(models.randomModel());
    const draw = async () => (await session.run({ x: new ort.Tensor('float32', x, [1, 4]) }))['y']!.data;
    expect(await draw()).not.toEqual(await draw());
  });

  it('fail where they say', async () => {
    await expect(run(models.tableModel(), { index: new ort.Tensor('int64', [9n], [1]) })).rejects.toThrow(/out of/);
    expect(await run(models.partlyWrongModel(), { x: new ort.Tensor('float32', [2, 0, 0, 0], [1, 4]) })).toEqual([NaN, 1, 1, 1]);
  });

  it('are written to a file as they are in memory', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'skerry-models-'));
    await models.writeInflatedModel(join(folder, 'm.onnx'), { megabytes: 2, seed: 7 });
    expect(Buffer.compare(await readFile(join(folder, 'm.onnx')), models.inflatedModel({ megabytes: 2, seed: 7 }))).toBe(0);
    await rm(folder, { recursive: true });
  });
});
