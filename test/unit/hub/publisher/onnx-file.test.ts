import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOnnxFile } from '#hub/publisher/onnx-file.js';
import { coded, outcome } from '../../../kit/coded.js';
import * as models from '../../../kit/onnx-models.js';

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
  it('reads versions, operator sets and producer', async () => {
    const bytes = models.affineModel();
    expect(readOnnxFile(await file(bytes))).toEqual({
      sizeBytes: bytes.length,
      irVersion: 8,
      opset: 17,
      opsets: { '': 17 },
      producer: { name: 'skerry-test-kit', version: '1' },
    });
  });

  it('reads a real model', () => {
    const silero = readOnnxFile('node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx');
    expect(silero).toMatchObject({ opset: 16, irVersion: 8 });
    expect(silero.sizeBytes).toBeGreaterThan(2_000_000);
  });

  it('skips weights unread, so that size costs nothing', async () => {
    const path = join(folder, 'large.onnx');
    await models.writeInflatedModel(path, { megabytes: 64 });
    const before = process.memoryUsage().rss;
    expect(readOnnxFile(path).sizeBytes).toBeGreaterThan(64 * 1024 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(16 * 1024 * 1024);
  });

  it('refuses weights in other files, with its own code', async () => {
    const path = await file(models.externalDataModel());
    expect(() => readOnnxFile(path)).toThrow(coded('ONNX_EXTERNAL_DATA', path));
  });

  it.each([
    ['an empty file', new Uint8Array()],
    ['text', new TextEncoder().encode('hello, I am no model at all')],
    ['a cut one', models.affineModel().subarray(0, 60)],
    ['JSON', new TextEncoder().encode('{"a": 1}')],
  ])('refuses %s', async (_what, bytes) => {
    const path = await file(bytes);
    expect(() => readOnnxFile(path)).toThrow(coded('ONNX_INVALID'));
  });

  it('ends with a result or a code for any bytes', async () => {
    const path = join(folder, 'any.onnx');
    const real = models.loopModel({ iterations: 3 });
    const damaged = fc
      .tuple(fc.nat(real.length - 1), fc.nat(255))
      .map(([at, byte]) => Uint8Array.from(real, (value, index) => (index === at ? byte : value)));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), async (bytes) => {
        await writeFile(path, bytes);
        const read = outcome(() => readOnnxFile(path));
        expect('value' in read || read.code.startsWith('ONNX_')).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('says when there is no file', () => {
    expect(() => readOnnxFile(join(folder, 'nothing.onnx'))).toThrow(coded('IO_FAILED'));
  });
});
