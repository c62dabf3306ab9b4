import { cutArtifact, cutArtifactFile } from '#shared/bundle/cut-artifact.js';
import type { AgentManifest } from '#shared/bundle/agent-manifest.js';
import type { Manifest } from '#shared/bundle/manifest.js';
import { type Artifact, MANIFEST_SCHEMA } from '#shared/bundle/manifest-parts.js';
import type { GoldenSample, ModelManifest, Variant } from '#shared/bundle/model-manifest.js';
import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { describeSpec } from '#shared/tensor/check.js';
import { replacedIn } from '#shared/tensor/strings.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import { type OutputTolerances, type Tolerance, toleranceProblem } from '#shared/tensor/tolerance.js';
import { checkBatching } from './batching.js';
import { checkFinite, checkVariant, type RecordedSample, recordSample } from './golden.js';
import { type DimensionSizes, generateCase, readGoldenCase, unusedSizes } from './golden-inputs.js';
import { type ModelInspection, specsOf, withModel } from './inspect.js';
import { type ObservedShape, observedOutputs, shapesDiffer } from './observed-shapes.js';
import type { LoadedModel } from './runtime.js';

export interface VariantFile {
  /** "fp32", "int8", ... */
  readonly name: string;
  readonly path: string;
}

export interface BuildRequest {
  readonly model: ModelName;
  /** The first is the reference the golden samples are recorded with, named by what it is unless said; the others must agree with it. */
  readonly variants: readonly [Omit<VariantFile, 'name'> & Partial<VariantFile>, ...VariantFile[]];
  /** Names of the outputs that the version offers; all when there is none. */
  readonly outputs?: readonly string[];
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
  | { readonly kind: 'recorded'; readonly samples: readonly string[] }
  /** Values that are not finite, by output; the request allows them. */
  | { readonly kind: 'not-finite'; readonly outputs: string }
  /** Outputs that hold U+FFFD on golden samples whose inputs do not. */
  | { readonly kind: 'replaced'; readonly outputs: readonly string[] }
  /** Outputs that the model has and the version does not offer. */
  | { readonly kind: 'left-out'; readonly outputs: readonly string[] }
  /** Outputs came in other shapes than the model declares. */
  | { readonly kind: 'shapes-observed'; readonly shapes: readonly ObservedShape[] }
  | { readonly kind: 'agreed'; readonly variant: string; readonly maxError: number }
  | { readonly kind: 'cutting'; readonly variant: string; readonly read: number; readonly total: number };

/** Where the bytes of an artifact are. */
type ArtifactSource = { readonly path: string } | { readonly bytes: Uint8Array };

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

/** The reference variant, with what was recorded with it. */
interface Reference {
  readonly name: string;
  readonly inspection: ModelInspection;
  readonly samples: readonly RecordedSample[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** Inspects the variants, records golden samples with the first, checks the others against them, cuts the files into chunks. */
export async function buildVersion(request: BuildRequest, onStep: (step: BuildStep) => void = () => undefined): Promise<BuiltVersion> {
  const reference = await buildReference(request, onStep);
  const named: VariantFile[] = [{ name: reference.name, path: request.variants[0].path }, ...request.variants.slice(1).map(asNamed)];
  const inspections = [reference.inspection];
  for (const { name, path } of named.slice(1)) inspections.push(await checkedVariant({ name, path }, request, reference, onStep));
  const variantFiles: BuiltFile[] = [];
  for (const [index, { name, path }] of named.entries()) {
    const total = inspections[index]?.sizeBytes ?? 0;
    const artifact = await cutArtifactFile(path, (read) => onStep({ kind: 'cutting', variant: name, read, total }));
    variantFiles.push({ artifact, source: { path } });
  }
  const variants = named.map(({ name }, index): Variant => {
    const artifact = variantFiles[index]?.artifact.digest;
    if (artifact === undefined) throw new SkerryError('INTERNAL', `variant ${name} has no file`);
    const opset = inspections[index]?.opset;
    return { name, format: 'onnx', ...(opset === undefined ? {} : { opset }), artifact, requires: { providers: [...request.providers] } };
  });
  const features = [...new Set(inspections.flatMap((inspection) => inspection.features))];
  return assemble(request, reference, { variants, files: variantFiles, features });
}

function asNamed({ name, path }: { readonly name?: string; readonly path: string }): VariantFile {
  return { name: name ?? 'unnamed', path };
}

function buildReference(request: BuildRequest, onStep: (step: BuildStep) => void): Promise<Reference> {
  const [{ path, name: given }, ...others] = request.variants;
  return withModel(path, request.outputs ?? [], async (inspection, model) => {
    const name = given ?? freeName(inspection.form, others);
    onStep({ kind: 'inspected', variant: name, inspection });
    const leftOut = inspection.outputs.filter((output) => !model.outputs.some(({ spec }) => spec.name === output.name));
    if (leftOut.length > 0) onStep({ kind: 'left-out', outputs: leftOut.map((output) => output.name) });
    const samples = await recordSamples(request, model, onStep);
    const notFinite = checkFinite(samples, request.allowNotFinite ?? []);
    if (notFinite !== undefined) onStep({ kind: 'not-finite', outputs: notFinite });
    const replaced = replacedIn(samples.filter(({ inputs }) => replacedIn([inputs]).length === 0).map((sample) => sample.outputs));
    if (replaced.length > 0) onStep({ kind: 'replaced', outputs: replaced });
    const { outputs, differing } = await settleShapes(request, model, samples);
    if (differing.length > 0) onStep({ kind: 'shapes-observed', shapes: differing });
    if (request.maxBatchSize !== undefined) await checkBatching(name, asObserved(model, outputs), samples);
    return { name, inspection, samples, inputs: specsOf(model.inputs), outputs };
  });
}

/** A model with the outputs as the samples showed them, which is what the version says of them. */
function asObserved(model: LoadedModel, outputs: readonly TensorSpec[]): LoadedModel {
  return { ...model, outputs: outputs.map((spec) => ({ spec, dimensions: spec.shape })) };
}

/** Two variants of one form may be meant; the name of the others is the publisher's. */
function freeName(name: string, others: readonly VariantFile[]): string {
  return others.some((other) => other.name === name) ? 'reference' : name;
}

function checkedVariant(
  { name, path }: VariantFile,
  request: BuildRequest,
  reference: Reference,
  onStep: (step: BuildStep) => void,
): Promise<ModelInspection> {
  return withModel(path, request.outputs ?? [], async (inspection, model) => {
    onStep({ kind: 'inspected', variant: name, inspection });
    checkSameSignature(name, model, reference);
    const { maxError } = await checkVariant(name, model, reference.samples);
    if (request.maxBatchSize !== undefined) await checkBatching(name, asObserved(model, reference.outputs), reference.samples);
    onStep({ kind: 'agreed', variant: name, maxError });
    return inspection;
  });
}

/** Where outputs came in other shapes than declared, other sizes of the inputs are tried too, to see which dimensions vary. */
async function settleShapes(
  request: BuildRequest,
  model: LoadedModel,
  samples: readonly RecordedSample[],
): Promise<ReturnType<typeof observedOutputs>> {
  const seen = samples.map(({ outputs }) => outputs);
  if (!shapesDiffer(model.outputs, seen)) return observedOutputs(model.outputs, seen, false);
  const others = await runWithOtherSizes(request, model);
  return observedOutputs(model.outputs, others === undefined ? seen : [...seen, others], others !== undefined);
}

/** Outputs for made-up inputs whose varying dimensions are larger by one; `undefined` when the model does not take such inputs. */
async function runWithOtherSizes(request: BuildRequest, model: LoadedModel): Promise<NamedTensors | undefined> {
  const larger = new Map(
    model.inputs.flatMap(({ spec, dimensions }) =>
      dimensions.flatMap((dimension, axis) => {
        if (typeof dimension === 'number') return [];
        const position = `${spec.name}.${axis}`;
        const size = request.sizes.get(position) ?? request.sizes.get(dimension) ?? 1;
        return [[dimension === '' ? position : dimension, size + 1] as const];
      }),
    ),
  );
  try {
    return await model.run(generateCase(request.generatedSamples + 1, model.inputs, larger).inputs);
  } catch {
    return undefined;
  }
}

async function recordSamples(
  request: BuildRequest,
  model: LoadedModel,
  onStep: (step: BuildStep) => void,
): Promise<readonly RecordedSample[]> {
  const [unused] = unusedSizes(model.inputs, request.sizes);
  if (unused !== undefined) {
    const inputs = model.inputs.map(({ spec }) => describeSpec(spec)).join(', ');
    throw new SkerryError('GOLDEN_INPUTS_INVALID', `no varying dimension is called ${JSON.stringify(unused)}; the inputs are ${inputs}`);
  }
  const misfit = toleranceProblem(specsOf(model.outputs), request.tolerance);
  if (misfit !== undefined) throw new SkerryError('TOLERANCE_INVALID', misfit);
  const generated = request.golden.length === 0;
  const samples: RecordedSample[] = [];
  for (let index = 0; index < (generated ? request.generatedSamples : request.golden.length); index++) {
    const file = request.golden[index];
    const golden =
      file === undefined ? generateCase(index + 1, model.inputs, request.sizes) : await readGoldenCase(file, model.inputs, model.outputs);
    if (samples.some((sample) => sample.name === golden.name)) {
      throw new SkerryError('GOLDEN_INPUTS_INVALID', `two golden samples are called ${golden.name}; give one of them another "name"`);
    }
    samples.push(await recordSample(model, golden, generated, request.tolerance));
  }
  onStep({ kind: 'recorded', samples: samples.map(({ name }) => name) });
  return samples;
}

/** A device may run any variant for any request, so all of them take and give the same; in which shapes the samples show. */
function checkSameSignature(name: string, actual: LoadedModel, reference: Reference): void {
  const sides = [
    ['inputs', specsOf(actual.inputs).map(describeSpec), reference.inputs.map(describeSpec)],
    ['outputs', specsOf(actual.outputs).map(describeOutput), reference.outputs.map(describeOutput)],
  ] as const;
  for (const [side, found, expected] of sides) {
    const [mine, first] = [found.toSorted().join(', '), expected.toSorted().join(', ')];
    if (mine !== first) throw new SkerryError('VARIANT_DIFFERS', `variant ${name} has the ${side} ${mine}, the first variant has ${first}`);
  }
}

function describeOutput({ name, datatype }: TensorSpec): string {
  return `${name} ${datatype}`;
}

async function assemble(
  request: BuildRequest,
  { samples, inputs, outputs }: Reference,
  built: { readonly variants: readonly Variant[]; readonly files: readonly BuiltFile[]; readonly features: readonly string[] },
): Promise<BuiltVersion> {
  const goldenSamples: ModelManifest['goldenSamples'] = [];
  const sampleFiles: BuiltFile[] = [];
  for (const sample of samples) {
    const artifact = await cutArtifact([sample.bytes], `golden sample ${sample.name}`);
    sampleFiles.push({ artifact, source: { bytes: sample.bytes } });
    goldenSamples.push({ name: sample.name, artifact: artifact.digest, tolerance: toleranceOfManifest(sample.tolerance) });
  }
  const unique = new Map<Digest, BuiltFile>([...built.files, ...sampleFiles].map((file) => [file.artifact.digest, file]));
  const files = [...unique.values()];
  const mutable = (specs: readonly TensorSpec[]): ModelManifest['inputs'] => specs.map((spec) => ({ ...spec, shape: [...spec.shape] }));
  return {
    content: {
      schema: MANIFEST_SCHEMA,
      ...requiredFeatures(goldenSamples, [...inputs, ...outputs], built.features),
      model: request.model,
      ...(request.description === undefined ? {} : { description: request.description }),
      inputs: mutable(inputs),
      outputs: mutable(outputs),
      variants: [...built.variants],
      goldenSamples,
      ...(request.maxBatchSize === undefined ? {} : { batching: { maxBatchSize: request.maxBatchSize } }),
      artifacts: files.map((file) => file.artifact),
    },
    files,
  };
}

/** As the manifest has it: without a list of outputs where none has a tolerance of its own. */
function toleranceOfManifest({ absolute, relative, outputs = [], shapeOnly }: OutputTolerances): GoldenSample['tolerance'] {
  const own = outputs.map((output) => ({ name: output.name, absolute: output.absolute, relative: output.relative }));
  return { absolute, relative, ...(own.length > 0 && { outputs: own }), ...(shapeOnly === true && { shapeOnly }) };
}

/** What an agent has to understand to take the version's tensors and to hold it to its golden samples. */
function requiredFeatures(
  goldenSamples: ModelManifest['goldenSamples'],
  specs: readonly TensorSpec[],
  rewriting: readonly string[],
): Pick<ModelManifest, 'requires'> {
  const requires = [
    ...(specs.some((spec) => spec.anyShape === true) ? ['any-shape'] : []),
    ...(goldenSamples.some(({ tolerance }) => tolerance.shapeOnly === true) ? ['golden-shape-only'] : []),
    ...(goldenSamples.some(({ tolerance }) => tolerance.outputs !== undefined) ? ['output-tolerances'] : []),
    ...rewriting,
  ];
  return requires.length === 0 ? {} : { requires };
}

/** The manifest of a built version under a number. */
export function numbered(built: BuiltVersion | BuiltRelease, version: VersionNumber): Manifest {
  return { ...built.content, version };
}
