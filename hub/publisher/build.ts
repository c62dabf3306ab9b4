import { cutArtifact, cutArtifactFile } from '#shared/bundle/cut-artifact.js';
import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import type { Manifest } from '#shared/bundle/manifest.js';
import { type Artifact, MANIFEST_SCHEMA } from '#shared/bundle/manifest-parts.js';
import type { GoldenSample, ModelManifest, Variant } from '#shared/bundle/model-manifest.js';
import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { describeSpec } from '#shared/tensor/check.js';
import { type OutputTolerances, type Tolerance, toleranceProblem } from '#shared/tensor/tolerance.js';
import { checkBatching } from './batching.js';
import { checkFinite, checkVariant, type RecordedSample, recordSample } from './golden.js';
import { type DimensionSizes, generateCase, readGoldenCase, unusedSizes } from './golden-inputs.js';
import { type ModelInspection, specsOf, withModel } from './inspect.js';
import type { LoadedModel } from './runtime.js';

export interface VariantFile {
  /** "fp32", "int8", ... */
  readonly name: string;
  readonly path: string;
}

export interface BuildRequest {
  readonly model: ModelName;
  /** The first is the reference the golden samples are recorded with; the others must agree with it. */
  readonly variants: readonly [VariantFile, ...VariantFile[]];
  /** Execution providers the variants can run on, best first; devices measure which to use. */
  readonly providers: readonly string[];
  /** Files of golden inputs; when there are none, `generatedSamples` are made up. */
  readonly golden: readonly string[];
  readonly generatedSamples: number;
  readonly sizes: DimensionSizes;
  readonly tolerance: OutputTolerances;
  /** Outputs that may hold NaN or infinities in golden samples; then they may on devices, too. */
  readonly allowNotFinite?: readonly string[];
  readonly description?: string;
  readonly maxBatchSize?: number;
}

export type BuildStep =
  | { readonly kind: 'inspected'; readonly variant: string; readonly inspection: ModelInspection }
  | { readonly kind: 'recorded'; readonly sample: string }
  /** Values that are not finite, by output; the request allows them. */
  | { readonly kind: 'not-finite'; readonly outputs: string }
  | { readonly kind: 'agreed'; readonly variant: string; readonly maxError: number }
  | { readonly kind: 'cutting'; readonly variant: string; readonly read: number; readonly total: number };

/** Where the bytes of an artifact are. */
export type ArtifactSource = { readonly path: string } | { readonly bytes: Uint8Array };

export interface BuiltFile {
  readonly artifact: Artifact;
  readonly source: ArtifactSource;
}

/** A version that lacks only its number. */
export interface Built<M extends Manifest> {
  readonly content: Omit<M, 'version'>;
  readonly files: readonly BuiltFile[];
}
/** A version of a model. */
export type BuiltVersion = Built<ModelManifest>;
/** A release of the agent. */
export type BuiltRelease = Built<AgentManifest>;

/** Golden samples generated when none are given. */
export const GENERATED_SAMPLES = 3;
/** Wide enough for another CPU's rounding, narrow enough for a wrong result. */
export const DEFAULT_TOLERANCE: Tolerance = { absolute: 1e-3, relative: 1e-3 };

/** Inspects the variants, records golden samples with the first, checks the others against them, cuts the files into chunks. */
export async function buildVersion(request: BuildRequest, onStep: (step: BuildStep) => void = () => undefined): Promise<BuiltVersion> {
  const [reference, ...others] = request.variants;
  const first = await withModel(reference.path, async (inspection, model) => {
    onStep({ kind: 'inspected', variant: reference.name, inspection });
    const samples = await recordSamples(request, inspection, model, onStep);
    const notFinite = checkFinite(samples, request.allowNotFinite ?? []);
    if (notFinite !== undefined) onStep({ kind: 'not-finite', outputs: notFinite });
    if (request.maxBatchSize !== undefined) await checkBatching(reference.name, model, samples);
    return { inspection, samples };
  });
  const inspections = [first.inspection];
  for (const variant of others) {
    inspections.push(
      await withModel(variant.path, async (inspection, model) => {
        onStep({ kind: 'inspected', variant: variant.name, inspection });
        checkSameSignature(variant.name, inspection, first.inspection);
        const { maxError } = await checkVariant(variant.name, model, first.samples);
        if (request.maxBatchSize !== undefined) await checkBatching(variant.name, model, first.samples);
        onStep({ kind: 'agreed', variant: variant.name, maxError });
        return inspection;
      }),
    );
  }
  const variantFiles: BuiltFile[] = [];
  for (const [index, { name, path }] of request.variants.entries()) {
    const total = inspections[index]?.sizeBytes ?? 0;
    const artifact = await cutArtifactFile(path, (read) => onStep({ kind: 'cutting', variant: name, read, total }));
    variantFiles.push({ artifact, source: { path } });
  }
  return assemble(request, inspections, first.samples, variantFiles);
}

async function recordSamples(
  request: BuildRequest,
  inspection: ModelInspection,
  model: LoadedModel,
  onStep: (step: BuildStep) => void,
): Promise<readonly RecordedSample[]> {
  const [unused] = unusedSizes(inspection.inputs, request.sizes);
  if (unused !== undefined) {
    const inputs = inspection.inputs.map(({ spec }) => describeSpec(spec)).join(', ');
    throw new SkerryError('GOLDEN_INPUTS_INVALID', `no varying dimension is called ${JSON.stringify(unused)}; the inputs are ${inputs}`);
  }
  const misfit = toleranceProblem(specsOf(inspection.outputs), request.tolerance);
  if (misfit !== undefined) throw new SkerryError('TOLERANCE_INVALID', misfit);
  const generated = request.golden.length === 0;
  const samples: RecordedSample[] = [];
  for (let index = 0; index < (generated ? request.generatedSamples : request.golden.length); index++) {
    const file = request.golden[index];
    const golden =
      file === undefined
        ? generateCase(index + 1, inspection.inputs, request.sizes)
        : await readGoldenCase(file, inspection.inputs, inspection.outputs);
    if (samples.some((sample) => sample.name === golden.name)) {
      throw new SkerryError('GOLDEN_INPUTS_INVALID', `two golden samples are called ${golden.name}; give one of them another "name"`);
    }
    samples.push(await recordSample(model, golden, generated, request.tolerance));
    onStep({ kind: 'recorded', sample: golden.name });
  }
  return samples;
}

/** A device may run any variant for any request, so all of them take and give the same. */
function checkSameSignature(name: string, actual: ModelInspection, reference: ModelInspection): void {
  for (const side of ['inputs', 'outputs'] as const) {
    const describe = (inspection: ModelInspection): string =>
      inspection[side]
        .map(({ spec }) => describeSpec(spec))
        .toSorted()
        .join(', ');
    if (describe(actual) !== describe(reference)) {
      throw new SkerryError(
        'VARIANT_DIFFERS',
        `variant ${name} has the ${side} ${describe(actual)}, the first variant has ${describe(reference)}`,
      );
    }
  }
}

async function assemble(
  request: BuildRequest,
  inspections: readonly ModelInspection[],
  samples: readonly RecordedSample[],
  variantFiles: readonly BuiltFile[],
): Promise<BuiltVersion> {
  const [reference] = inspections;
  if (reference === undefined) throw new SkerryError('INTERNAL', 'a version was built of no variant');
  const variants = request.variants.map(({ name }, index): Variant => {
    const artifact = variantFiles[index]?.artifact.digest;
    if (artifact === undefined) throw new SkerryError('INTERNAL', `variant ${name} has no file`);
    const opset = inspections[index]?.opset ?? reference.opset;
    return { name, format: 'onnx', opset, artifact, requires: { providers: [...request.providers] } };
  });
  const goldenSamples: ModelManifest['goldenSamples'] = [];
  const sampleFiles: BuiltFile[] = [];
  for (const sample of samples) {
    const artifact = await cutArtifact([sample.bytes], `golden sample ${sample.name}`);
    sampleFiles.push({ artifact, source: { bytes: sample.bytes } });
    goldenSamples.push({ name: sample.name, artifact: artifact.digest, tolerance: toleranceOfManifest(sample.tolerance) });
  }
  const unique = new Map<Digest, BuiltFile>([...variantFiles, ...sampleFiles].map((file) => [file.artifact.digest, file]));
  const files = [...unique.values()];
  const mutable = (specs: ReturnType<typeof specsOf>): ModelManifest['inputs'] =>
    specs.map((spec) => ({ ...spec, shape: [...spec.shape] }));
  return {
    content: {
      schema: MANIFEST_SCHEMA,
      ...requiredFeatures(goldenSamples),
      model: request.model,
      ...(request.description === undefined ? {} : { description: request.description }),
      inputs: mutable(specsOf(reference.inputs)),
      outputs: mutable(specsOf(reference.outputs)),
      variants,
      goldenSamples,
      ...(request.maxBatchSize === undefined ? {} : { batching: { maxBatchSize: request.maxBatchSize } }),
      artifacts: files.map((file) => file.artifact),
    },
    files,
  };
}

/** As the manifest has it: without a list of outputs where none has a tolerance of its own. */
function toleranceOfManifest({ absolute, relative, outputs = [] }: OutputTolerances): GoldenSample['tolerance'] {
  const own = outputs.map((output) => ({ name: output.name, absolute: output.absolute, relative: output.relative }));
  return { absolute, relative, ...(own.length > 0 && { outputs: own }) };
}

/** What an agent has to understand to hold the version to its golden samples. */
function requiredFeatures(goldenSamples: ModelManifest['goldenSamples']): Pick<ModelManifest, 'requires'> {
  return goldenSamples.some(({ tolerance }) => tolerance.outputs !== undefined) ? { requires: ['output-tolerances'] } : {};
}

/** The manifest of a built version under a number. */
export function numbered(built: BuiltVersion | BuiltRelease, version: VersionNumber): Manifest {
  return { ...built.content, version };
}
