import { z } from 'zod';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { toleranceProblem } from '#shared/tensor/tolerance.js';
import { featureListSchema } from './features.js';
import { artifactSchema, checkArtifactList, checkNamesListed, checkUniqueNames, MANIFEST_SCHEMA } from './manifest-parts.js';
import { isReservedName } from './kinds.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from './names.js';

const tensorNameSchema = z
  .string()
  .min(1)
  .refine((name) => Buffer.byteLength(name) <= LIMITS.tensorNameBytes, `must not have more than ${LIMITS.tensorNameBytes} bytes`);

const tensorSpecSchema = openObject({
  name: tensorNameSchema,
  datatype: z.enum(DATATYPES),
  /** -1 is a dimension that varies. */
  shape: z.array(z.int().min(-1)).max(LIMITS.tensorRank),
  /** The model declares no shape, so any is taken; `shape` is empty then (feature `any-shape`). */
  anyShape: z.literal(true).optional(),
});

const variantSchema = openObject({
  /** "fp32", "fp16", "int8", ... */
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/),
  format: z.literal('onnx'),
  /** Version of the default operator set; left out by models that import none, such as those of ai.onnx.ml alone. */
  opset: z.int().min(1).optional(),
  artifact: digestSchema,
  requires: openObject({
    /** Execution providers this variant can run on, best first; every device has `cpu`. */
    providers: z.array(z.string().regex(/^[a-z0-9]{1,32}$/)).min(1),
    /** Least free memory needed to load and run it, bytes, as measured by the publisher. */
    memoryBytes: z.int().min(0).optional(),
  }),
});
export type Variant = z.infer<typeof variantSchema>;

const toleranceSchema = openObject({ absolute: z.number().min(0), relative: z.number().min(0) });

const goldenSampleSchema = openObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/),
  /** A safetensors file holding `inputs/<name>` and `outputs/<name>`. */
  artifact: digestSchema,
  /**
   * An element `actual` of a floating-point output agrees when |actual - expected| <= absolute + relative * |expected| (as
   * numpy.allclose). Other outputs are exact, but for integers with an absolute tolerance of their own.
   */
  tolerance: toleranceSchema.extend({
    /** Outputs with a tolerance of their own; left out when there are none. */
    outputs: z
      .array(toleranceSchema.extend({ name: tensorNameSchema }))
      .max(LIMITS.tensorsPerModel)
      .optional(),
    /** Only element types and shapes are compared, since the model gives other values at every run (feature `golden-shape-only`). */
    shapeOnly: z.literal(true).optional(),
  }),
});
export type GoldenSample = z.infer<typeof goldenSampleSchema>;

/** The signed description of a model's version. Its canonical JSON bytes are the TUF target `models/<model>/<version>.json`. */
export const modelManifestSchema = openObject({
  schema: z.literal(MANIFEST_SCHEMA),
  /** Features without which the version would be misread (features.ts). */
  requires: featureListSchema.optional(),
  /** Left out by publishers, so that manifests and their digests are what they were before agents were published too. */
  kind: z.literal('model').optional(),
  model: modelNameSchema.refine((name) => !isReservedName(name), 'is a name that Skerry keeps for its own releases'),
  version: versionNumberSchema,
  description: z.string().max(4096).optional(),
  /** None for a model that computes from nothing, such as a constant or a random one. */
  inputs: z.array(tensorSpecSchema).max(LIMITS.tensorsPerModel),
  outputs: z.array(tensorSpecSchema).min(1).max(LIMITS.tensorsPerModel),
  variants: z.array(variantSchema).min(1).max(LIMITS.variantsPerVersion),
  goldenSamples: z.array(goldenSampleSchema).min(1).max(LIMITS.goldenSamplesPerVersion),
  batching: openObject({
    /** Largest batch along dimension 0; inputs and outputs then have -1 there. */
    maxBatchSize: z.int().min(1).max(65_536),
    preferredSizes: z.array(z.int().min(1)).max(16).optional(),
    maxDelayMicros: z.int().min(0).max(10_000_000).optional(),
  }).optional(),
  artifacts: z.array(artifactSchema).min(1),
}).superRefine((manifest, context) => {
  checkArtifactList(manifest, context);
  for (const path of ['inputs', 'outputs', 'variants', 'goldenSamples'] as const) checkUniqueNames(manifest[path], path, context);
  for (const path of ['variants', 'goldenSamples'] as const) checkNamesListed(manifest[path], path, manifest, context);
  for (const [index, sample] of manifest.goldenSamples.entries()) {
    const message = toleranceProblem(manifest.outputs, sample.tolerance);
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['goldenSamples', index, 'tolerance', 'outputs'], message });
  }
});
export type ModelManifest = z.infer<typeof modelManifestSchema>;
