import { SkerryError } from '#shared/kernel/errors.js';
import { nextBytesElement } from '#shared/tensor/bytes-elements.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import { bytesOf, elementsOf, isFixedSize, newElements } from '#shared/tensor/elements.js';
import { elementCount, formatShape } from '#shared/tensor/shape.js';
import type { NamedTensors, Tensor, TensorSpec } from '#shared/tensor/tensor.js';

// Whether a failed run is its caller's fault is found by experiment, since ONNX Runtime says the same of a token id beyond the
// vocabulary and of an index that the model itself computed wrong. The same session runs again with parts of the request replaced
// by what a golden sample shows to be right; the part whose replacement makes the failure go away caused it.
//
// - Values of whole-number and string inputs are codes from a domain that the model's declaration does not tell (ids, lengths,
//   labels): where they caused the failure, the caller sent one outside it.
// - So are values of small inputs of fixed size beside others: scales, thresholds.
// - Values of other inputs are data: a model takes whatever they are, so failing on them is the model's fault.
// - The number of rows (dimension 0) is declared free so that callers can choose it: failing on it is the model's fault.
// - Other sizes that the model declares free and that no golden sample shows: the caller sent sizes that fit neither each other
//   nor the model's weights.
// - A session that no longer runs the golden sample itself is broken, whatever was asked of it.

/** Whole numbers of 32 and 64 bits and strings; smaller ones are mostly pixels and samples of sound. */
const CODES: ReadonlySet<Datatype> = new Set<Datatype>(['INT32', 'INT64', 'UINT32', 'UINT64', 'BYTES']);

/** Elements of a fixed-size input that is a parameter rather than data. */
const MOST_OF_A_PARAMETER = 8;

/** With as many inputs of codes at most, the one that caused a failure is looked for. */
const MOST_TOLD_APART = 4;

/** Elements of a golden input that are kept for experiments; larger inputs repeat them. */
const MOST_ELEMENTS = 65_536;

/** Inputs that run: those of a golden sample, cut to a bounded size. */
export interface KnownInputs {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly values: NamedTensors;
  /** Inputs whose values are codes or parameters. */
  readonly codes: readonly string[];
  /** Inputs whose number of rows (dimension 0) the model declares free. */
  readonly rowed: readonly string[];
}

type Cause = { readonly kind: 'values' | 'sizes'; readonly inputs: readonly string[] } | { readonly kind: 'model' };

type Run = (inputs: NamedTensors) => Promise<unknown>;

export function knownInputs(inputs: NamedTensors, declared: readonly TensorSpec[]): KnownInputs {
  const entries = Object.entries(inputs);
  return {
    codes: declared.flatMap((spec) => (CODES.has(spec.datatype) || (declared.length > 1 && isParameter(spec)) ? [spec.name] : [])),
    rowed: declared.flatMap(({ name, shape }) => (shape[0] === -1 ? [name] : [])),
    shapes: Object.fromEntries(entries.map(([name, tensor]) => [name, [...tensor.shape]])),
    values: Object.fromEntries(
      entries.map(([name, tensor]) => [name, filled([Math.min(elementCount(tensor.shape, name), MOST_ELEMENTS)], tensor)]),
    ),
  };
}

/** What made a run of `inputs` fail: at most eight more runs. */
export async function causeOf(run: Run, inputs: NamedTensors, known: KnownInputs): Promise<Cause> {
  const replaced = (names: readonly string[], shapeOf: (name: string) => readonly number[]): NamedTensors =>
    Object.fromEntries(
      Object.entries(inputs).map(([name, tensor]) => {
        const values = known.values[name];
        return [name, values !== undefined && names.includes(name) ? filled(shapeOf(name), values) : tensor];
      }),
    );
  const own = (name: string): readonly number[] => inputs[name]?.shape ?? [];
  const shown = (name: string): readonly number[] => known.shapes[name] ?? own(name);
  const all = Object.keys(inputs);
  const { codes } = known;
  if (codes.length > 0 && (await works(run, replaced(codes, own)))) {
    if (codes.length <= MOST_TOLD_APART) {
      for (const name of codes)
        if (codes.length > 1 && (await works(run, replaced([name], own)))) return { kind: 'values', inputs: [name] };
    }
    return { kind: 'values', inputs: codes };
  }
  if (await works(run, replaced(all, own))) return { kind: 'model' };
  if (!(await works(run, replaced(all, shown)))) return { kind: 'model' };
  const rowsOfOwn = (name: string): readonly number[] => shown(name).map((size, axis) => (axis === 0 ? (own(name)[0] ?? size) : size));
  const rowsFit = new Set(known.rowed.map((name) => ratio(own(name)[0], shown(name)[0]))).size <= 1;
  if (rowsFit && !(await works(run, replaced(all, rowsOfOwn)))) return { kind: 'model' };
  return { kind: 'sizes', inputs: all.filter((name) => formatShape(own(name)) !== formatShape(shown(name))) };
}

/**
 * As `causeOf`, of a run for which memory did not suffice: where the golden sample still runs and the request is larger, its sizes are the
 * cause, its number of rows too. Whether they need too much every time is the caller's to find out.
 */
export async function memoryCauseOf(run: Run, inputs: NamedTensors, known: KnownInputs): Promise<Cause> {
  const cause = await causeOf(run, inputs, known);
  if (cause.kind !== 'model') return cause;
  const countOf = (shape: readonly number[]): number => elementCount(shape, 'an input');
  const larger = Object.entries(inputs).flatMap(([name, { shape }]) =>
    countOf(shape) > countOf(known.shapes[name] ?? shape) ? [name] : [],
  );
  const shown = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => {
      const values = known.values[name];
      return [name, values === undefined ? tensor : filled(known.shapes[name] ?? tensor.shape, values)];
    }),
  );
  return larger.length > 0 && (await works(run, shown)) ? { kind: 'sizes', inputs: larger } : cause;
}

/** Whether a run succeeds. */
export function works(run: Run, inputs: NamedTensors): Promise<boolean> {
  return run(inputs).then(
    () => true,
    () => false,
  );
}

/** The error for a failure that a caller's values or sizes caused. */
export function callersError(failure: SkerryError, cause: Exclude<Cause, { readonly kind: 'model' }>, inputs: NamedTensors): SkerryError {
  const names = cause.inputs.map((name) =>
    cause.kind === 'values' ? JSON.stringify(name) : `${JSON.stringify(name)} ${formatShape(inputs[name]?.shape ?? [])}`,
  );
  const what = `the ${cause.kind} of ${names.length === 1 ? 'input' : 'inputs'} ${names.join(', ')} caused this: the model runs with those of its golden sample`;
  return new SkerryError('INFERENCE_INPUT_REFUSED', `${failure.message} (${what})`, { cause: failure });
}

function isParameter({ shape }: TensorSpec): boolean {
  return !shape.includes(-1) && elementCount(shape, 'an input') <= MOST_OF_A_PARAMETER;
}

/** How many times as many rows as the golden sample; inputs without rows agree with all. */
function ratio(own: number | undefined, shown: number | undefined): number {
  return own === undefined || shown === undefined || shown === 0 ? 1 : own / shown;
}

/** A tensor of a shape, with the elements of another over and over; without any, zeros or empty strings. */
function filled(shape: readonly number[], source: Tensor): Tensor {
  const count = elementCount(shape, 'a golden input');
  const available = elementCount(source.shape, 'a golden input');
  if (!isFixedSize(source)) {
    return {
      datatype: source.datatype,
      shape,
      data: available === 0 ? new Uint8Array(4 * count) : repeated(source.data, available, count),
    };
  }
  const data = bytesOf(newElements(source.datatype, count));
  const bytes = bytesOf(elementsOf(source));
  for (let at = 0; at < data.byteLength && bytes.byteLength > 0; at += bytes.byteLength) {
    data.set(bytes.subarray(0, Math.min(bytes.byteLength, data.byteLength - at)), at);
  }
  return { datatype: source.datatype, shape, data };
}

/** `count` of the strings in `data`, which holds `available`, over and over. */
function repeated(data: Uint8Array, available: number, count: number): Uint8Array {
  const whole = Math.floor(count / available);
  let rest = 0;
  for (let at = 0; at < count % available; at++) rest = nextBytesElement(data, rest)?.end ?? rest;
  const result = new Uint8Array(whole * data.byteLength + rest);
  for (let time = 0; time < whole; time++) result.set(data, time * data.byteLength);
  result.set(data.subarray(0, rest), whole * data.byteLength);
  return result;
}
