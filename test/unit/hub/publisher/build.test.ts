import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BuildRequest, type BuildStep, buildVersion, DEFAULT_TOLERANCE, numbered } from '#hub/publisher/build.js';
import { decodeGolden } from '#shared/bundle/golden.js';
import { contentIdentity, decodeModelManifest, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { writeSafetensors } from '#shared/tensor/safetensors.js';
import { coded } from '../../../kit/coded.js';
import * as models from '../../../kit/onnx-models.js';
import { toJson } from '../../../kit/tensor-json.js';
import { writeNpy } from '#shared/tensor/npy.js';
import { fp32 } from '../../../kit/servables.js';
import { zipFile } from '../../../kit/zip-file.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skerry-build-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: Uint8Array | object): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content instanceof Uint8Array ? content : JSON.stringify(content));
  return path;
}

async function request(model: Uint8Array, options: Partial<BuildRequest> = {}): Promise<BuildRequest> {
  return {
    model: modelNameSchema.parse('affine'),
    variants: [{ name: 'fp32', path: await file('fp32.onnx', model) }],
    providers: ['cpu'],
    golden: [],
    generatedSamples: 2,
    sizes: new Map(),
    tolerance: DEFAULT_TOLERANCE,
    ...options,
  };
}
const two = versionNumberSchema.parse(2);

describe('buildVersion', () => {
  it('gives a valid manifest and the bytes of everything it names', async () => {
    const steps: BuildStep[] = [];
    const built = await buildVersion(await request(models.affineModel(), { description: 'x2 + 1' }), (step) => steps.push(step));
    const manifest = decodeModelManifest(encodeManifest(numbered(built, two)));
    expect(manifest).toMatchObject({
      model: 'affine',
      version: 2,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      variants: [{ name: 'fp32', opset: 17, requires: { providers: ['cpu'] } }],
    });
    expect(manifest.goldenSamples.map((sample) => sample.name)).toEqual(['generated-1', 'generated-2']);
    for (const { artifact, source } of built.files) {
      const bytes = 'bytes' in source ? source.bytes : await readFile(source.path);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(artifact.digest);
    }
    const golden = decodeGolden('bytes' in built.files[1]!.source ? built.files[1]!.source.bytes : new Uint8Array(), 'golden');
    const x = toJson(golden.inputs['x']!, 'x').map(Number);
    expect(toJson(golden.outputs['y']!, 'y')).toEqual(x.map((value) => Math.fround(Math.fround(value * 2) + 1)));
    expect(steps.map((step) => step.kind)).toEqual(['inspected', 'recorded', 'cutting']);
  });

  it('gives the same content for the same model, and other content for another', async () => {
    const identity = async (model: Uint8Array): Promise<string> => contentIdentity((await buildVersion(await request(model))).content);
    expect(await identity(models.affineModel())).toBe(await identity(models.affineModel()));
    expect(await identity(models.affineModel({ scale: 3 }))).not.toBe(await identity(models.affineModel()));
  });

  it('takes variants that agree and refuses those that do not, saying by how much', async () => {
    const near = { name: 'int8', path: await file('near.onnx', models.affineModel({ scale: 2.0001 })) };
    const far = { name: 'int8', path: await file('far.onnx', models.affineModel({ scale: 2.5 })) };
    const base = await request(models.affineModel());
    const built = await buildVersion({ ...base, variants: [base.variants[0], near] });
    expect(built.content.variants.map((variant) => variant.name)).toEqual(['fp32', 'int8']);
    const refused = buildVersion({ ...base, variants: [base.variants[0], far] });
    await expect(refused).rejects.toThrow(coded('VARIANT_GOLDEN_MISMATCH', /variant int8.*differs in \d+ of 4 elements.*allowed: 0\.001/));
    await expect(
      buildVersion({ ...base, variants: [base.variants[0], far], tolerance: { absolute: 1, relative: 0 } }),
    ).resolves.toBeDefined();
  });

  it('compares ids exactly, and takes a tolerance for one output: a wrong id next to the right one is wrong', async () => {
    const base = await request(models.tokenModel());
    const wrong = { name: 'int8', path: await file('wrong-token.onnx', models.tokenModel({ offset: 30_025 })) };
    const variants = [base.variants[0], wrong] as const;
    await expect(buildVersion({ ...base, variants })).rejects.toThrow(
      coded('VARIANT_GOLDEN_MISMATCH', /output "token".* 30026 instead of 30001.*integers must be equal/),
    );
    const outputs = [{ name: 'token', absolute: 25, relative: 0 }];
    const built = await buildVersion({ ...base, variants, tolerance: { ...DEFAULT_TOLERANCE, outputs } });
    const manifest = decodeModelManifest(encodeManifest(numbered(built, two)));
    expect(manifest.goldenSamples[0]?.tolerance).toEqual({ ...DEFAULT_TOLERANCE, outputs });
    expect(manifest.requires, 'an older agent would compare otherwise').toEqual(['output-tolerances']);
    expect((await buildVersion(base)).content.requires).toBeUndefined();
  });

  it.each([
    [{ name: 'tokens', absolute: 1, relative: 0 }, 'there is no output "tokens"; the outputs are token'],
    [{ name: 'token', absolute: 1, relative: 0.1 }, 'integers take an absolute tolerance only'],
  ])('refuses the tolerance %j', async (output, message) => {
    const tolerance = { ...DEFAULT_TOLERANCE, outputs: [output] };
    await expect(buildVersion(await request(models.tokenModel(), { tolerance }))).rejects.toThrow(coded('TOLERANCE_INVALID', message));
  });

  it('refuses variants of another signature', async () => {
    const base = await request(models.affineModel());
    const other = { name: 'int8', path: await file('other.onnx', models.affineModel({ width: 5 })) };
    await expect(buildVersion({ ...base, variants: [base.variants[0], other] })).rejects.toThrow(coded('VARIANT_DIFFERS', 'x FP32 [-1,5]'));
  });

  it('takes inputs from JSON and safetensors files', async () => {
    const json = await file('from-json.json', {
      inputs: {
        x: {
          shape: [2, 4],
          data: [
            [1, 2, 3, 4],
            [5, 6, 7, 8],
          ],
        },
      },
    });
    const random = await file('random.json', { name: 'Noise!', inputs: { x: { shape: [1, 4], random: [10, 11] } } });
    const x = { datatype: 'FP32' as const, shape: [1, 4], data: new Uint8Array(16) };
    const plain = await file('plain.safetensors', writeSafetensors({ x }));
    const built = await buildVersion(await request(models.affineModel(), { golden: [json, random, plain] }));
    expect(built.content.goldenSamples.map((sample) => sample.name)).toEqual(['from-json', 'noise-', 'plain']);
  });

  it('takes expected outputs and refuses the model when it does not give them', async () => {
    const given = (value: number): object => ({
      inputs: { x: { shape: [1, 4], fill: 1 } },
      outputs: { y: { shape: [1, 4], fill: value } },
    });
    const golden = [await file('right.json', given(3.0005))];
    await expect(buildVersion(await request(models.affineModel(), { golden }))).resolves.toBeDefined();
    const wrong = buildVersion(await request(models.affineModel(), { golden: [await file('wrong.json', given(4))] }));
    await expect(wrong).rejects.toThrow(coded('VARIANT_GOLDEN_MISMATCH', 'wrong expects'));
  });

  it.each([
    [{ inputs: { z: { fill: 1 } } }, 'the model has no input "z"'],
    [{ inputs: { x: { fill: 1 } } }, 'needs a "shape"'],
    [{ inputs: { x: { shape: [1, 5], fill: 1 } } }, 'has shape [1,5]'],
    [{ inputs: { x: { shape: [1, 4] } } }, 'exactly one of'],
    [{ inputs: { x: { shape: [1, 4], data: [1, 2, 3, 'four'] } } }, 'element 3 is "four"'],
    [{ inputs: {} }, 'input "x" is missing'],
    [{ input: {} }, 'input'],
  ])('refuses golden inputs %j', async (content, message) => {
    const golden = [await file('bad.json', content)];
    await expect(buildVersion(await request(models.affineModel(), { golden }))).rejects.toThrow(coded('GOLDEN_INPUTS_INVALID', message));
  });

  it('says what to do when generated inputs do not run', async () => {
    // Generated indices are 0 or 1, which a table of one element does not have.
    const refused = buildVersion(await request(models.tableModel({ table: [1] }), { sizes: new Map([['n', 8]]) }));
    await expect(refused).rejects.toThrow(coded('GOLDEN_INPUTS_NEEDED', /rejects generated inputs \(index INT64 \[8\]\)/));
  });

  it('refuses a size for a dimension that is not there', async () => {
    await expect(buildVersion(await request(models.affineModel(), { sizes: new Map([['bacth', 2]]) }))).rejects.toThrow(
      coded('GOLDEN_INPUTS_INVALID', '"bacth"'),
    );
    await expect(buildVersion(await request(models.affineModel(), { sizes: new Map([['x.0', 2]]) }))).resolves.toBeDefined();
  });

  it('names outputs that are not finite, and takes them where the publisher allows it', async () => {
    const golden = [
      await file('finite.json', { inputs: { x: { shape: [1, 4], fill: 0 } } }),
      await file('odd.json', { inputs: { x: { shape: [1, 4], data: [0, 2, '-Infinity', 0] } } }),
    ];
    const base = await request(models.partlyWrongModel(), { golden });
    await expect(buildVersion(base)).rejects.toThrow(coded('GOLDEN_NOT_FINITE', 'output "y" holds NaN and Infinity'));
    await expect(buildVersion({ ...base, allowNotFinite: ['x'] })).rejects.toThrow(coded('GOLDEN_NOT_FINITE'));
    const steps: BuildStep[] = [];
    await buildVersion({ ...base, allowNotFinite: ['y'] }, (step) => steps.push(step));
    expect(steps).toContainEqual({ kind: 'not-finite', outputs: 'output "y" holds NaN and Infinity' });
    await expect(buildVersion({ ...base, golden: golden.slice(0, 1) })).resolves.toBeDefined();
  });

  it('notes outputs that hold U+FFFD, unless an input does', async () => {
    const texts = ['ok', '\ufffd'].map((text) => Buffer.from(text));
    const seen = async (model: Uint8Array, inputs: object): Promise<readonly BuildStep[]> => {
      const steps: BuildStep[] = [];
      await buildVersion(await request(model, { golden: [await file('text.json', { inputs })] }), (step) => steps.push(step));
      return steps.filter((step) => step.kind === 'replaced');
    };
    const labels = models.labelModel({ labels: texts });
    expect(await seen(labels, { index: { shape: [1], data: [1] } })).toEqual([{ kind: 'replaced', outputs: ['answer'] }]);
    expect(await seen(labels, { index: { shape: [1], data: [0] } })).toEqual([]);
    expect(await seen(models.textModel(), { text: { shape: [1], data: ['\ufffd'] } })).toEqual([]);
  });

  it('refuses a model that is not deterministic', async () => {
    await expect(buildVersion(await request(models.randomModel()))).rejects.toThrow(coded('GOLDEN_NOT_DETERMINISTIC'));
  });

  it('checks that a model can be batched', async () => {
    const built = await buildVersion(await request(models.affineModel(), { maxBatchSize: 8 }));
    expect(built.content.batching).toEqual({ maxBatchSize: 8 });
    const silero = { name: 'fp32', path: 'node_modules/@ricky0123/vad-web/dist/silero_vad_v5.onnx' };
    const golden = [
      await file('silero.json', {
        inputs: { input: { shape: [1, 512], fill: 0 }, state: { shape: [2, 1, 128], fill: 0 }, sr: { data: [16000] } },
      }),
    ];
    await expect(buildVersion(await request(models.affineModel(), { variants: [silero], golden, maxBatchSize: 8 }))).rejects.toThrow(
      coded('BATCHING_UNSUPPORTED', 'state has shape [2,-1,128]'),
    );
  });

  it.each([
    ['two rows for each', models.doubleRowsModel(), /output "y" has 2 rows \(shape \[2,4\]\) for 1 input rows, on sample generated-1/],
    ['rows by values', models.detectionModel(), /output "found" has \d+ rows .* for 1 input rows/],
    ['softmax over rows', models.mixingModel('softmax'), /rows influence one another: .* output "y" differs/],
    ['rows sorted', models.mixingModel('sort'), /rows influence one another/],
    ['mean over rows', models.mixingModel('mean'), /rows influence one another/],
  ])('refuses to batch a model with %s', async (_, model, message) => {
    await expect(buildVersion(await request(model, { maxBatchSize: 8 }))).rejects.toThrow(coded('BATCHING_UNSUPPORTED', message));
    await expect(buildVersion(await request(model))).resolves.toBeDefined();
  });

  it('refuses to batch a model that finds one thing in each golden sample, and none or more in other inputs', async () => {
    const golden = await Promise.all(
      [1, 2].map((value) => file(`one-${value}.json`, { inputs: { x: { shape: [1, 4], data: [-1, value, -2, -3] } } })),
    );
    await expect(buildVersion(await request(models.detectionModel(), { golden, maxBatchSize: 8 }))).rejects.toThrow(
      coded('BATCHING_UNSUPPORTED', /output "found" has [03] rows .* on sample one-1 with its/),
    );
  });

  it('batches variants whose outputs come otherwise than declared, as their reference', async () => {
    const misdeclared = await file('misdeclared.onnx', models.misdeclaredModel({ batch: 1 }));
    const plain = await file('identity.onnx', models.identityModel());
    const base = await request(models.identityModel(), { maxBatchSize: 8 });
    const both = (first: string, second: string) => buildVersion({ ...base, variants: [{ path: first }, { name: 'other', path: second }] });
    for (const built of [await both(plain, misdeclared), await both(misdeclared, plain)]) {
      expect(built.content).toMatchObject({ batching: { maxBatchSize: 8 }, outputs: [{ name: 'y', shape: [-1, 4] }] });
    }
  });

  it.each([
    [
      'INT64 values above 0',
      models.countsModel(),
      [{ x: { shape: [1, 4], data: [-1, 1, -2, -3] } }, { x: { shape: [1, 4], data: [-1, 2, -2, -3] } }],
    ],
    [
      'a length regulator beside ids',
      models.repeatsModel(),
      [
        { repeats: { shape: [2], data: [1, 1] }, index: { shape: [2], data: [0, 3] } },
        { repeats: { shape: [2], data: [1, 1] }, index: { shape: [2], data: [3, 2] } },
      ],
    ],
    ['texts', models.spelledModel(), [{ text: { shape: [3], data: ['1', '1', '1'] } }, { text: { shape: [3], data: ['2', '0', '1'] } }]],
    ['flags', models.flagsModel(), [{ x: { shape: [2], data: [true, true] } }]],
  ])('refuses to batch a model whose rows depend on whole numbers, texts or flags: %s', async (what, model, inputs) => {
    const golden = await Promise.all(inputs.map((values, at) => file(`${what}-${at}.json`, { inputs: values })));
    await expect(buildVersion(await request(model, { golden, maxBatchSize: 8 }))).rejects.toThrow(
      coded('BATCHING_UNSUPPORTED', /rows .* on sample/),
    );
  });

  it('batches with one golden sample, whose altered self shows that rows stay apart', async () => {
    const golden = [await file('constant.json', { inputs: { x: { shape: [2, 4], fill: 3 } } })];
    await expect(buildVersion(await request(models.affineModel(), { golden, maxBatchSize: 8 }))).resolves.toBeDefined();
    await expect(buildVersion(await request(models.mixingModel('mean'), { golden, maxBatchSize: 8 }))).rejects.toThrow(
      coded('BATCHING_UNSUPPORTED', 'rows influence one another'),
    );
    const token = [await file('token.json', { inputs: { x: { data: [5], shape: [1] } } })];
    await expect(buildVersion(await request(models.tokenModel(), { golden: token, maxBatchSize: 8 }))).resolves.toBeDefined();
  });

  it('refuses what the runtime cannot load', async () => {
    const newer = models.affineModel();
    // The operator "Mul" becomes "Mxl", which no operator set has.
    const at = Buffer.from(newer).indexOf('"\u0003Mul');
    newer[at + 3] = 'x'.charCodeAt(0);
    await expect(buildVersion(await request(newer))).rejects.toThrow(coded('ONNX_UNLOADABLE'));
  });

  it('records outputs as they came where they are declared otherwise (9), with a note, and tries other sizes to see what varies', async () => {
    const shapes = { inputs: { x: { shape: [4], data: [1, 2, 3, 4] }, shape: { shape: [2], data: [2, 2] } } };
    const steps: BuildStep[] = [];
    const golden = [await file('reshape.json', shapes)];
    const built = await buildVersion(await request(models.reshapeModel({ declared: [9, 9, 9] }), { golden }), (step) => steps.push(step));
    // Other sizes of the inputs fit no shape that was made up, so nothing is known to stay as it is.
    expect(built.content.outputs).toEqual([{ name: 'y', datatype: 'FP32', shape: [-1, -1] }]);
    expect(steps.find((step) => step.kind === 'shapes-observed')).toMatchObject({
      shapes: [{ name: 'y', declared: { shape: [9, 9, 9] }, recorded: { shape: [-1, -1] } }],
    });
    const neg = await buildVersion(await request(models.misdeclaredModel()));
    expect(neg.content.outputs).toEqual([{ name: 'y', datatype: 'FP32', shape: [-1, 4] }]);
    const several = [
      await file('two.json', shapes),
      await file('three.json', { inputs: { ...shapes.inputs, shape: { shape: [3], data: [1, 2, 2] } } }),
    ];
    const any = await buildVersion(await request(models.reshapeModel(), { golden: several }));
    expect(any.content).toMatchObject({ requires: ['any-shape'], outputs: [{ name: 'y', shape: [], anyShape: true }] });
  });

  it('offers the outputs that are named and notes what it leaves out (5)', async () => {
    const steps: BuildStep[] = [];
    const built = await buildVersion(await request(models.classifierModel(), { outputs: ['label'] }), (step) => steps.push(step));
    expect(built.content.outputs.map(({ name }) => name)).toEqual(['label']);
    expect(steps.filter((step) => step.kind === 'left-out')).toEqual([{ kind: 'left-out', outputs: ['probabilities'] }]);
    expect(built.content).not.toHaveProperty('requires');
    await expect(buildVersion(await request(models.wrappedMapsModel()))).rejects.toThrow(coded('OUTPUT_NOT_SERVABLE'));
    // The same outputs of variants, whose others may be of other types.
    const base = await request(models.classifierModel(), { outputs: ['label'] });
    const other = { name: 'other', path: await file('plain.onnx', models.classifierModel({ zipMap: false })) };
    expect((await buildVersion({ ...base, variants: [base.variants[0], other] })).content.variants).toHaveLength(2);
    // As do variants of which one needs to be rewritten.
    const all = await buildVersion({
      ...(await request(models.classifierModel({ zipMap: false }))),
      variants: [other, { name: 'zipped', path: await file('zipped.onnx', models.classifierModel()) }],
    });
    expect(all.content).toMatchObject({ requires: ['onnx-zipmap'], outputs: [{ name: 'label' }, { name: 'probabilities' }] });
  });

  it('names the first variant by what it is (14), unless another has that name', async () => {
    const [{ path }] = (await request(models.affineModel())).variants;
    const names = async (variants: BuildRequest['variants']): Promise<readonly string[]> =>
      (await buildVersion({ ...(await request(models.affineModel())), variants })).content.variants.map(({ name }) => name);
    expect(await names([{ path }])).toEqual(['fp32']);
    expect(await names([{ path }, { name: 'fp32', path }])).toEqual(['reference', 'fp32']);
    expect(await names([{ path, name: 'mine' }])).toEqual(['mine']);
  });

  it('takes golden inputs from npy and npz (16), by names of any kind (15)', async () => {
    const x = writeNpy(fp32([1, 4], [1, 2, 3, 4]), 'x');
    const y = writeNpy(fp32([1, 4], [3, 5, 7, 9]), 'y');
    const golden = [
      await file('one.npy', x),
      await file('plain.npz', zipFile({ 'x.npy': x }, { compress: true })),
      await file('named.npz', zipFile({ 'x.npy': x, 'y.npy': y })),
      await file('prefixed.npz', zipFile({ 'inputs/x.npy': x, 'outputs/y.npy': y })),
    ];
    const built = await buildVersion(await request(models.affineModel(), { golden }));
    expect(built.content.goldenSamples.map(({ name }) => name)).toEqual(['one', 'plain', 'named', 'prefixed']);
    const wrong = [await file('wrong.npz', zipFile({ 'x.npy': x, 'y.npy': x }))];
    await expect(buildVersion(await request(models.affineModel(), { golden: wrong }))).rejects.toThrow(coded('VARIANT_GOLDEN_MISMATCH'));
    const odd = models.namedModel(['inputs/ids', 'outputs/y']);
    await expect(buildVersion(await request(odd, { golden: [golden[0]!] }))).rejects.toThrow(
      coded('GOLDEN_INPUTS_INVALID', /numpy\.savez/),
    );
    // Plain names that look prefixed, and the same with prefixes.
    const ids = fp32([2], [1, 2]);
    for (const [name, tensors] of [
      ['plain', { 'inputs/ids': ids, 'outputs/y': ids }],
      [
        'all',
        {
          'inputs/inputs/ids': ids,
          'inputs/outputs/y': ids,
          'outputs/out inputs/ids': fp32([2], [-1, -2]),
          'outputs/out outputs/y': fp32([2], [-1, -2]),
        },
      ],
    ] as const) {
      const given = [await file(`${name}.safetensors`, writeSafetensors(tensors))];
      expect((await buildVersion(await request(odd, { golden: given }))).content.inputs.map((spec) => spec.name)).toEqual([
        'inputs/ids',
        'outputs/y',
      ]);
    }
  });

  it('compares no values of a random model when asked to (16), and names the flag when not', async () => {
    await expect(buildVersion(await request(models.randomModel()))).rejects.toThrow(
      coded('GOLDEN_NOT_DETERMINISTIC', /--golden-shape-only/),
    );
    const tolerance = { ...DEFAULT_TOLERANCE, shapeOnly: true } as const;
    const built = await buildVersion(await request(models.randomModel(), { tolerance }));
    expect(built.content).toMatchObject({ requires: ['golden-shape-only'], goldenSamples: [{ tolerance: { shapeOnly: true } }, {}] });
    const wrong = { name: 'wide', path: await file('wide.onnx', models.randomModel({ width: 4 })) };
    const base = await request(models.randomModel(), { tolerance });
    await expect(buildVersion({ ...base, variants: [base.variants[0], wrong] })).resolves.toBeDefined();
  });
});
