import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuildRequest, buildVersion, DEFAULT_TOLERANCE, numbered } from '#hub/publisher/build.js';
import { checkVariant, recordSample } from '#hub/publisher/golden.js';
import { readGoldenCase } from '#hub/publisher/golden-inputs.js';
import { inspectModel, withModel } from '#hub/publisher/inspect.js';
import { decodeGolden } from '#shared/bundle/golden.js';
import { contentIdentity, decodeModelManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { coded } from '../../kit/coded.js';

const V5 = 'node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx';
const LEGACY = 'node_modules/@ricky0123/vad-web/dist/silero_vad_legacy.onnx';

const state = { shape: [2, 1, 128], fill: 0 };
const sr = { data: [16000] };
const cases = {
  silence: { inputs: { input: { shape: [1, 512], fill: 0 }, state, sr } },
  noise: { inputs: { input: { shape: [1, 512], random: [-0.5, 0.5] }, state: { shape: [2, 1, 128], random: [-0.1, 0.1] }, sr } },
};

let folder: string;
let golden: string[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-silero-'));
  golden = await Promise.all(
    Object.entries(cases).map(async ([name, content]) => {
      const path = join(folder, `${name}.json`);
      await writeFile(path, JSON.stringify(content));
      return path;
    }),
  );
});
afterAll(() => rm(folder, { recursive: true }));

function request(options: Partial<BuildRequest> = {}): BuildRequest {
  return {
    model: modelNameSchema.parse('vad'),
    variants: [{ name: 'fp32', path: V5 }],
    providers: ['cpu'],
    golden,
    generatedSamples: 1,
    sizes: new Map(),
    tolerance: DEFAULT_TOLERANCE,
    ...options,
  };
}

describe('Silero VAD v5, a real model', () => {
  it('is inspected: names, types, shapes, opset, size', async () => {
    const inspection = await inspectModel(V5);
    expect(inspection.inputs.map(({ tensor }) => tensor?.spec)).toEqual([
      { name: 'input', datatype: 'FP32', shape: [-1, -1] },
      { name: 'state', datatype: 'FP32', shape: [2, -1, 128] },
      { name: 'sr', datatype: 'INT64', shape: [] },
    ]);
    expect(inspection.outputs.map(({ name }) => name)).toEqual(['output', 'stateN']);
    expect(inspection).toMatchObject({ opset: 16, irVersion: 8 });
  });

  it('is built with golden samples recorded by running it', async () => {
    const built = await buildVersion(request());
    const manifest = decodeModelManifest(encodeManifest(numbered(built, versionNumberSchema.parse(1))));
    expect(manifest.goldenSamples.map((sample) => sample.name)).toEqual(['silence', 'noise']);
    expect(manifest.artifacts[0]!.chunks.length).toBeGreaterThan(15);
    const samples = built.files.flatMap(({ source }) => ('bytes' in source ? [decodeGolden(source.bytes, 'golden')] : []));
    const probability = (index: number): number => Buffer.from(samples[index]!.outputs['output']!.data).readFloatLE(0);
    expect(probability(0)).toBeLessThan(0.1);
    expect(samples[1]!.inputs['sr']).toMatchObject({ datatype: 'INT64', shape: [] });
    expect(contentIdentity((await buildVersion(request())).content)).toBe(contentIdentity(built.content));
  });

  it('refuses generated inputs, and says what to do instead', async () => {
    const refused = buildVersion(request({ golden: [] }));
    await expect(refused).rejects.toThrow(coded('GOLDEN_INPUTS_NEEDED', /rejects generated inputs \(input FP32 \[1,1\]/));
    await expect(refused).rejects.toMatchObject({ entry: { action: expect.stringContaining('--golden FILE') as unknown } });
  });

  it('does not take an older version of the model for a variant of it', async () => {
    const variants: BuildRequest['variants'] = [
      { name: 'fp32', path: V5 },
      { name: 'legacy', path: LEGACY },
    ];
    await expect(buildVersion(request({ variants }))).rejects.toThrow(coded('VARIANT_DIFFERS', 'variant legacy'));
  });

  it('is told from a model whose numbers are wrong', async () => {
    await withModel(V5, [], async (_inspection, model) => {
      const recorded = await recordSample(model, await readGoldenCase(golden[1]!, model.inputs, model.outputs), false, DEFAULT_TOLERANCE);
      await expect(checkVariant('same', model, [recorded])).resolves.toEqual({ maxError: 0 });
      const output = { ...recorded.outputs['output']!, data: recorded.outputs['output']!.data.slice() };
      new DataView(output.data.buffer).setFloat32(0, 0.99, true);
      const wrong = { ...recorded, outputs: { ...recorded.outputs, output } };
      await expect(checkVariant('wrong', model, [wrong])).rejects.toThrow(
        coded('VARIANT_GOLDEN_MISMATCH', 'output "output" differs in 1 of 1'),
      );
    });
  });
});
