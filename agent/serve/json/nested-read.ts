import { SkerryError } from '#shared/kernel/errors.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import { bytesOf } from '#shared/tensor/elements.js';
import { type JsonReader, jsonReader } from '#shared/tensor/json-elements.js';
import { elementCount, formatShape } from '#shared/tensor/shape.js';
import type { Tensor, TensorSpec } from '#shared/tensor/tensor.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { JsonAllowance } from './json-allowance.js';
import { type ElementReading, pythonElement } from './python-elements.js';

/** Elements read between two places where the work may be interrupted: some ten microseconds. */
const ELEMENTS_AT_ONCE = 1_000;

/** Most arrays without an element in a tensor: they are checked in one go. */
const EMPTY_ARRAYS = 1_000;

/** What a tensor is read for: the input of a model, and what a request may still carry. */
export interface NestedTarget {
  readonly spec: TensorSpec;
  readonly json: JsonAllowance;
  /** What an element stands for; as Python's array libraries take it when left out. */
  readonly element?: ElementReading | undefined;
}

/**
 * Reads a tensor from arrays nested as its shape, which they give: `[[1,2],[3,4]]` is [2,2], and 5 a scalar. It can be interrupted
 * wherever it yields. Errors: `TENSOR_DATA` for uneven arrays and elements that do not fit, `TENSOR_TOO_LARGE`, `SERVE_JSON_TOO_LARGE`.
 */
export function* nestedTensor(value: unknown, target: NestedTarget): Generator<void, Tensor> {
  const what = `input ${JSON.stringify(target.spec.name)}`;
  const shape = shapeOf(value, what);
  return yield* tensorOfCells(shape, nestedCells(value, shape, what), target);
}

/**
 * Reads a tensor from its elements in row-major order. Its shape is fitted to the input's: numbers [N] for an input [N,1] are a column.
 */
export function* tensorOfCells(
  shape: readonly number[],
  cells: Iterator<unknown>,
  { spec, json, element = pythonElement }: NestedTarget,
): Generator<void, Tensor> {
  const what = `input ${JSON.stringify(spec.name)}`;
  const count = elementCount(shape, what);
  json.take(count, `${what} ${formatShape(shape)}`, 'Send binary tensors with the Open Inference Protocol, or raise --json-elements');
  const data = yield* readCells(jsonReader(spec.datatype, what), count, () => element(spec.datatype, cells.next().value));
  // Empty arrays behind the last element are checked too.
  cells.next();
  return { datatype: spec.datatype, shape: fittedShape(shape, spec), data };
}

function* readCells(reader: JsonReader, count: number, next: () => unknown): Generator<void, Uint8Array> {
  if (reader.kind === 'text') {
    const encoder = new TextEncoder();
    const texts: Uint8Array[] = [];
    for (let at = 0; at < count; at++) {
      if (at % ELEMENTS_AT_ONCE === 0) yield;
      const element = next();
      texts.push(element instanceof Uint8Array ? element : encoder.encode(reader.read(element, at)));
    }
    return joinBytesElements(texts);
  }
  if (reader.kind === 'bigint') return yield* readNumbers(reader.allocate(count), (at) => reader.read(next(), at));
  return yield* readNumbers(reader.allocate(count), (at) => reader.read(next(), at));
}

interface Elements<T> extends ArrayBufferView {
  readonly length: number;
  [at: number]: T;
}

function* readNumbers<T>(elements: Elements<T>, read: (at: number) => T): Generator<void, Uint8Array> {
  for (let at = 0; at < elements.length; at++) {
    if (at % ELEMENTS_AT_ONCE === 0) yield;
    elements[at] = read(at);
  }
  return bytesOf(elements);
}

/** Shape that the first element of nested arrays gives at every depth. */
export function shapeOf(value: unknown, what: string): readonly number[] {
  const shape: number[] = [];
  for (let inner = value; Array.isArray(inner); inner = inner[0]) {
    shape.push(inner.length);
    if (shape.length > LIMITS.tensorRank) {
      throw new SkerryError('TENSOR_TOO_LARGE', `${what} is nested deeper than the accepted ${LIMITS.tensorRank} dimensions`);
    }
  }
  const empty = shape.slice(0, Math.max(0, shape.indexOf(0)));
  if (elementCount(empty, what) > EMPTY_ARRAYS) {
    throw new SkerryError('TENSOR_DATA', `${what} has more than ${EMPTY_ARRAYS} arrays without an element`);
  }
  return shape;
}

/** Elements of nested arrays, which must all be as long as the shape says. */
export function* nestedCells(value: unknown, shape: readonly number[], what: string, axis = 0): Generator<unknown, void> {
  const size = shape[axis];
  if (size === undefined) {
    yield value;
    return;
  }
  if (!Array.isArray(value) || value.length !== size) {
    const found = Array.isArray(value) ? `an array of ${value.length}` : 'no array';
    throw new SkerryError('TENSOR_DATA', `${what}: its arrays are uneven; one of ${size} is followed by ${found} at depth ${axis}`);
  }
  if (axis === shape.length - 1) {
    for (const element of value) yield element;
    return;
  }
  for (const inner of value) yield* nestedCells(inner, shape, what, axis + 1);
}

/** A column that clients write flat, or a single value, has the rank that the model declares; every other shape stays as it was sent. */
export function fittedShape(shape: readonly number[], { shape: declared, anyShape }: TensorSpec): readonly number[] {
  if (anyShape === true || shape.length >= declared.length) return shape;
  const missing = declared.slice(shape.length);
  const free = shape.length === 0 ? [1, -1] : [1];
  return missing.every((size) => free.includes(size)) ? [...shape, ...missing.map(() => 1)] : shape;
}
