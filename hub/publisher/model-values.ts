import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { RuntimeValue } from '#shared/onnx/model-ends.js';
import { datatypeOfOrt, isOrtType } from '#shared/tensor/ort.js';
import type { TensorSpec } from '#shared/tensor/tensor.js';
import type { FileValue, OnnxFile } from './onnx-file.js';
import { type Dimension, formatOnnxType, type OnnxType } from '#shared/onnx/onnx-types.js';

/** A tensor of a model as the file declares it: sizes, or the names ('' where it has none) of dimensions that vary. */
export interface DeclaredTensor {
  readonly spec: TensorSpec;
  readonly dimensions: readonly Dimension[];
}

/** An input or output of a model, whatever its type. */
export interface ModelValue {
  readonly name: string;
  /** The element type of a tensor as in the Open Inference Protocol, else the type in ONNX's words: `sequence(map(int64,float))`. */
  readonly type: string;
  /** `undefined` where the number of dimensions is not known, or there are none since it is no tensor. */
  readonly dimensions: readonly Dimension[] | undefined;
  /** What a version can offer of it; left out when that is nothing. */
  readonly tensor?: DeclaredTensor;
}

/** Inputs or outputs as the runtime takes and gives them, with what it does not tell (types that are no tensors, unknown ranks) from the file. */
export function valuesOf(runtime: readonly RuntimeValue[], file: readonly FileValue[]): readonly ModelValue[] {
  const declared = new Map(file.map((value) => [value.name, value.type]));
  return runtime.map((value): ModelValue => {
    const { name, isTensor, type, shape } = value;
    const fromFile = declared.get(name);
    if (!isTensor || type === undefined || shape === undefined) return valueOfFile(name, fromFile ?? { kind: 'unknown' });
    const datatype = datatypeOfOrt(type, `tensor ${JSON.stringify(name)}`);
    const dimensions = value.anyShape === true ? undefined : shape;
    const tensor: DeclaredTensor =
      dimensions === undefined
        ? { spec: { name, datatype, shape: [], anyShape: true }, dimensions: [] }
        : { spec: { name, datatype, shape: dimensions.map(sizeOf) }, dimensions };
    return { name, type: datatype, dimensions, tensor };
  });
}

/** Inputs or outputs by the file alone: of a model that has element types which the runtime's binding does not know. */
export function valuesOfFile(file: readonly FileValue[]): readonly ModelValue[] {
  return file.map(({ name, type }) => valueOfFile(name, type));
}

function valueOfFile(name: string, type: OnnxType): ModelValue {
  const element = type.kind === 'tensor' ? ortTypeOf(type.element) : undefined;
  const shown = element === undefined ? formatOnnxType(type) : datatypeOfOrt(element, `tensor ${JSON.stringify(name)}`);
  return { name, type: shown, dimensions: 'shape' in type ? type.shape : undefined };
}

/** ONNX and the runtime's binding name two element types differently. */
function ortTypeOf(element: string): string | undefined {
  const name = element === 'float' ? 'float32' : element === 'double' ? 'float64' : element;
  return isOrtType(name) ? name : undefined;
}

function sizeOf(dimension: Dimension): number {
  return typeof dimension === 'number' && dimension >= 0 ? dimension : -1;
}

/** Refuses, before anything is run or recorded, what no manifest could hold: `MODEL_UNSUPPORTED`. */
export function checkBounds(file: Pick<OnnxFile, 'sizeBytes'>, inputs: readonly ModelValue[], outputs: readonly ModelValue[]): void {
  const refuse = (reason: string): never => {
    throw new SkerryError('MODEL_UNSUPPORTED', reason);
  };
  if (file.sizeBytes > LIMITS.artifactBytes) refuse(`the model has ${file.sizeBytes} bytes, at most ${LIMITS.artifactBytes} are accepted`);
  for (const [kind, values] of [['input', inputs] as const, ['output', outputs] as const]) {
    if (values.length > LIMITS.tensorsPerModel) {
      refuse(`the model has ${values.length} ${kind}s, at most ${LIMITS.tensorsPerModel} are accepted`);
    }
    for (const { name, dimensions } of values) {
      const bytes = Buffer.byteLength(name);
      if (name === '') refuse(`an ${kind} of the model has no name; give it one when exporting`);
      if (bytes > LIMITS.tensorNameBytes) {
        refuse(`the name of ${kind} ${shorten(name)} has ${bytes} bytes, at most ${LIMITS.tensorNameBytes} are accepted`);
      }
      if ((dimensions?.length ?? 0) > LIMITS.tensorRank) {
        refuse(`${kind} ${shorten(name)} has ${dimensions?.length} dimensions, at most ${LIMITS.tensorRank} are accepted`);
      }
    }
  }
}

function shorten(name: string): string {
  return JSON.stringify(name.length > 64 ? `${name.slice(0, 64)}...` : name);
}

/** The inputs a version has: all of the model's, which must be tensors. `MODEL_UNSUPPORTED`. */
export function offeredInputs(values: readonly ModelValue[]): readonly DeclaredTensor[] {
  return values.map(({ name, type, tensor }) => {
    if (tensor !== undefined) return tensor;
    throw new SkerryError(
      'MODEL_UNSUPPORTED',
      `input ${JSON.stringify(name)} is ${type}, and only tensors of the usual element types can be sent to a model; export it so that it takes those`,
    );
  });
}

/**
 * The outputs a version offers: those named by `wanted`, else all. `OUTPUT_NOT_SERVABLE` when one of them is no tensor that can
 * be served, with the remedy; `OUTPUT_UNKNOWN` for a name the model does not have.
 */
export function offeredOutputs(values: readonly ModelValue[], wanted: readonly string[]): readonly DeclaredTensor[] {
  const unknown = wanted.find((name) => !values.some((value) => value.name === name));
  if (unknown !== undefined) {
    throw new SkerryError('OUTPUT_UNKNOWN', `the model has no output ${JSON.stringify(unknown)}, it has ${namesOf(values)}`);
  }
  const offered = wanted.length === 0 ? values : values.filter(({ name }) => wanted.includes(name));
  const unservable = offered.filter(({ tensor }) => tensor === undefined);
  if (unservable.length === 0) return offered.flatMap(({ tensor }) => (tensor === undefined ? [] : [tensor]));
  throw new SkerryError('OUTPUT_NOT_SERVABLE', whyNotServable(unservable, values));
}

function whyNotServable(unservable: readonly ModelValue[], all: readonly ModelValue[]): string {
  const what = unservable.map(({ name, type }) => `${JSON.stringify(name)} is ${type}`).join(', ');
  const isZipMap = unservable.some(({ type }) => type.startsWith('sequence(map('));
  const remedies = isZipMap
    ? ['export the model with zipmap=False to get the probabilities as a tensor (skl2onnx: options={"zipmap": False})']
    : [];
  const servable = all.filter(({ tensor }) => tensor !== undefined).map(({ name }) => `--output ${quoted(name)}`);
  if (servable.length > 0) remedies.push(`leave it out of the version by naming the outputs to keep: ${servable.slice(0, 8).join(' ')}`);
  if (remedies.length === 0) remedies.push('export the model so that it gives tensors of the usual element types');
  return `output ${what}, which cannot be served: ${remedies.join(', or ')}`;
}

/** A name as a shell takes it. */
function quoted(name: string): string {
  return /^[\w./:@%+-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

function namesOf(values: readonly ModelValue[]): string {
  return values.map(({ name }) => JSON.stringify(name)).join(', ');
}
