import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from './names.js';

export const MANIFEST_SCHEMA = 'skerry.manifest/1';

const tensorSpecSchema = z.strictObject({
  name: z.string().min(1).max(LIMITS.nameLength),
  datatype: z.enum(DATATYPES),
  /** -1 is a dimension that varies. */
  shape: z.array(z.int().min(-1)).max(LIMITS.tensorRank),
});

/** `[digest, length]` of one chunk, in file order. */
const chunkSchema = z.tuple([digestSchema, z.int().min(1).max(LIMITS.chunkMaxBytes)]);

export const artifactSchema = z
  .strictObject({
    digest: digestSchema,
    length: z.int().min(1).max(LIMITS.artifactBytes),
    chunks: z.array(chunkSchema).min(1),
  })
  .refine((artifact) => artifact.chunks.reduce((sum, [, length]) => sum + length, 0) === artifact.length, {
    message: 'the chunk lengths do not add up to the length of the artifact',
    path: ['chunks'],
  });
export type Artifact = z.infer<typeof artifactSchema>;

const variantSchema = z.strictObject({
  /** "fp32", "fp16", "int8", ... */
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/),
  format: z.literal('onnx'),
  opset: z.int().min(1),
  artifact: digestSchema,
  requires: z.strictObject({
    /** Execution providers this variant can run on, best first; every device has `cpu`. */
    providers: z.array(z.string().regex(/^[a-z0-9]{1,32}$/)).min(1),
    /** Least free memory needed to load and run it, bytes, as measured by the publisher. */
    memoryBytes: z.int().min(0).optional(),
  }),
});
export type Variant = z.infer<typeof variantSchema>;

const goldenSampleSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/),
  /** A safetensors file holding `inputs/<name>` and `outputs/<name>`. */
  artifact: digestSchema,
  /** An output element `actual` agrees when |actual - expected| <= absolute + relative * |expected| (as numpy.allclose). */
  tolerance: z.strictObject({ absolute: z.number().min(0), relative: z.number().min(0) }),
});
export type GoldenSample = z.infer<typeof goldenSampleSchema>;

/** The signed description of a version. Its canonical JSON bytes are the TUF target `models/<model>/<version>.json`. */
export const manifestSchema = z
  .strictObject({
    schema: z.literal(MANIFEST_SCHEMA),
    model: modelNameSchema,
    version: versionNumberSchema,
    description: z.string().max(4096).optional(),
    inputs: z.array(tensorSpecSchema).min(1).max(LIMITS.tensorsPerModel),
    outputs: z.array(tensorSpecSchema).min(1).max(LIMITS.tensorsPerModel),
    variants: z.array(variantSchema).min(1).max(LIMITS.variantsPerVersion),
    goldenSamples: z.array(goldenSampleSchema).min(1).max(LIMITS.goldenSamplesPerVersion),
    batching: z
      .strictObject({
        /** Largest batch along dimension 0; inputs and outputs then have -1 there. */
        maxBatchSize: z.int().min(1).max(65_536),
        preferredSizes: z.array(z.int().min(1)).max(16).optional(),
        maxDelayMicros: z.int().min(0).max(10_000_000).optional(),
      })
      .optional(),
    artifacts: z.array(artifactSchema).min(1),
  })
  .superRefine((manifest, context) => {
    const artifacts = new Set<string>(manifest.artifacts.map((artifact) => artifact.digest));
    if (artifacts.size !== manifest.artifacts.length) {
      context.addIssue({ code: 'custom', path: ['artifacts'], message: 'an artifact is listed twice' });
    }
    const unique = (path: 'inputs' | 'outputs' | 'variants' | 'goldenSamples'): void => {
      if (new Set(manifest[path].map((item) => item.name)).size !== manifest[path].length) {
        context.addIssue({ code: 'custom', path: [path], message: 'a name is used twice' });
      }
    };
    unique('inputs');
    unique('outputs');
    unique('variants');
    unique('goldenSamples');
    for (const path of ['variants', 'goldenSamples'] as const) {
      for (const [index, item] of manifest[path].entries()) {
        if (!artifacts.has(item.artifact)) {
          context.addIssue({ code: 'custom', path: [path, index, 'artifact'], message: 'names an artifact that is not listed' });
        }
      }
    }
  });
export type Manifest = z.infer<typeof manifestSchema>;

/** TUF target path of a version's manifest. */
export function manifestTargetPath(model: string, version: number): string {
  return `models/${model}/${version}.json`;
}

/** What the targets metadata says beside length and hashes (TUF 4.5, `custom`). */
export const manifestTargetCustomSchema = z.strictObject({
  model: modelNameSchema,
  version: versionNumberSchema,
  /** Versions of this model below it are never installed, even by rollback; the highest signed value counts. */
  minimumVersion: versionNumberSchema,
  publishedAt: z.iso.datetime({ offset: true }),
});
export type ManifestTargetCustom = z.infer<typeof manifestTargetCustomSchema>;
