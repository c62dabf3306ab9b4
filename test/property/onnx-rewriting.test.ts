import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { planModel } from '#shared/onnx/rewriting.js';
import { concat } from '#shared/onnx/protobuf-writer.js';
import * as models from '../kit/onnx-models.js';

// Model files come from anywhere: whatever a file holds, planning reads it to the end or gives up, and what it plans can be carried out.

let path: string;
beforeAll(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'skerry-hostile-')), 'model.onnx');
});
afterAll(() => rm(join(path, '..'), { recursive: true }));

const FILES = [models.classifierModel(), models.everyTypeModel(() => ['n']), models.wrappedMapsModel()];

async function plan(bytes: Uint8Array): Promise<number | undefined> {
  await writeFile(path, bytes);
  return planModel(path).rewriting?.bytes().byteLength;
}

it('changed, cut and doubled files', async () => {
  const changed = fc.tuple(fc.constantFrom(...FILES), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.option(fc.nat()));
  await fc.assert(
    fc.asyncProperty(changed, async ([file, bytes, cut]) => {
      const altered = file.slice();
      for (const [at, byte] of bytes) altered[at % altered.length] = byte;
      const length = await plan(cut === null ? altered : altered.subarray(0, cut % altered.length));
      expect(length ?? 0).toBeLessThan(2 * altered.length + 10_000);
    }),
    { numRuns: 500 },
  );
  expect(await plan(concat(...FILES))).toBeUndefined();
});

it('any bytes, and groups nested without end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await plan(bytes);
    }),
    { numRuns: 500 },
  );
  expect(await plan(new Uint8Array(1_000_000).fill(0x0b))).toBeUndefined();
});
