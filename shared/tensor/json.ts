import { SkerryError } from '#shared/kernel/errors.js';
import { joinBytesElements } from './bytes-elements.js';
import type { Datatype } from './datatype.js';
import { bytesOf } from './elements.js';
import { type JsonReader, jsonReader } from './json-elements.js';
import { elementCount, formatShape } from './shape.js';
import type { Tensor } from './tensor.js';

/**
 * Reads the `data` of a JSON tensor (OIP v2, "Tensor Data"): one flat row-major array, or nested arrays of the shape.
 * Each element is narrowed to the datatype: integers whole and in range; floating-point numbers rounded to the nearest of the type
 * (ties to even) where that is finite, or one of the strings "NaN", "Infinity" and "-Infinity"; BOOL true or false; BYTES as UTF-8
 * strings. INT64/UINT64 beyond 2^53 have lost digits as JavaScript numbers, so there they are accepted only as decimal strings.
 * Errors: `TENSOR_DATA`, `TENSOR_SHAPE`, `TENSOR_TOO_LARGE`.
 */
export function fromJson(datatype: Datatype, shape: readonly number[], data: unknown, what: string): Tensor {
  const count = elementCount(shape, what);
  const reader = jsonReader(datatype, what);
  const flat = flatten(data, shape, count, what);
  return { datatype, shape, data: readAll(reader, flat, count) };
}

function readAll(reader: JsonReader, flat: readonly unknown[], count: number): Uint8Array {
  if (reader.kind === 'text') {
    const encoder = new TextEncoder();
    return joinBytesElements(flat.map((value, at) => encoder.encode(reader.read(value, at))));
  }
  if (reader.kind === 'bigint') {
    const elements = reader.allocate(count);
    for (let at = 0; at < count; at++) elements[at] = reader.read(flat[at], at);
    return bytesOf(elements);
  }
  const elements = reader.allocate(count);
  for (let at = 0; at < count; at++) elements[at] = reader.read(flat[at], at);
  return bytesOf(elements);
}

/** One row-major array of `count` elements from a flat array or from arrays nested as the shape says. */
function flatten(data: unknown, shape: readonly number[], count: number, what: string): readonly unknown[] {
  if (!isArray(data)) throw new SkerryError('TENSOR_DATA', `${what}: data must be an array`);
  if (!isArray(data[0])) {
    if (data.length === count) return data;
    throw new SkerryError('TENSOR_DATA', `${what}: shape ${formatShape(shape)} takes ${count} elements, the data has ${data.length}`);
  }
  const flat: unknown[] = [];
  const walk = (value: unknown, axis: number): void => {
    if (axis === shape.length) {
      flat.push(value);
      return;
    }
    const size = shape[axis];
    if (!isArray(value) || value.length !== size) {
      const found = isArray(value) ? `an array of ${value.length}` : 'no array';
      throw new SkerryError(
        'TENSOR_DATA',
        `${what}: shape ${formatShape(shape)} asks for arrays of ${size} at depth ${axis}, found ${found}`,
      );
    }
    for (const inner of value) walk(inner, axis + 1);
  };
  walk(data, 0);
  return flat;
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
