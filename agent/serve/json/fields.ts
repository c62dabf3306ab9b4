import { SkerryError } from '#shared/kernel/errors.js';
import { DATATYPES, type Datatype } from '#shared/tensor/datatype.js';
import { describeNumber } from '#shared/tensor/json-elements.js';

// Hand-written narrowing of the inference request: it runs on every prediction, before tensors that may hold millions of
// elements, where a schema library would walk and copy them all.

/** Longest value that an error shows. */
const SHOWN_LENGTH = 64;

export type JsonObject = Readonly<Record<string, unknown>>;

export function bad(path: string, expected: string, value: unknown): SkerryError {
  const found = value === undefined ? 'it is missing' : value === '' ? 'it is empty' : `it is ${shown(value)}`;
  return new SkerryError('SERVE_REQUEST', `${path} must be ${expected}, ${found}`, { details: { path } });
}

/** What was found, as the caller wrote it where it is short, else its kind. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'number') return describeNumber(value);
  if (typeof value === 'bigint') return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > SHOWN_LENGTH ? `a ${typeof value} of ${text.length} characters` : text;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectAt(value: unknown, path: string): JsonObject {
  if (isObject(value)) return value;
  throw bad(path, 'an object', value);
}

// Clients whose classes have optional members (those of MLServer and KServe) write them as null: as good as left out.

export function optionalObjectAt(value: unknown, path: string): JsonObject {
  return value === undefined || value === null ? {} : objectAt(value, path);
}

/** An empty string says no more than none, as in Triton. */
export function optionalStringAt(value: unknown, path: string, limit: number): string | undefined {
  return value === undefined || value === null || value === '' ? undefined : stringAt(value, path, limit);
}

export function arrayAt(value: unknown, path: string, limit: number): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(path, 'an array', value);
  if (value.length > limit) throw new SkerryError('SERVE_REQUEST', `${path} has ${value.length} entries, at most ${limit} are accepted`);
  return value;
}

export function stringAt(value: unknown, path: string, limit: number): string {
  if (typeof value !== 'string' || value === '') throw bad(path, 'a string that is not empty', value);
  if (value.length > limit) throw new SkerryError('SERVE_REQUEST', `${path} has ${value.length} characters, at most ${limit} are accepted`);
  return value;
}

export function optionalBooleanAt(value: unknown, path: string): boolean | undefined {
  if (value === null) return undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  throw bad(path, 'true or false', value);
}

export function optionalCountAt(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw bad(path, 'a whole number of at least 0', value);
}

/** As wide as an unsigned integer of 64 bits. */
export function optionalUnsignedAt(value: unknown, path: string): bigint | undefined {
  if (value === undefined || value === null) return undefined;
  const whole = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof whole === 'bigint' && whole >= 0n && whole < 2n ** 64n) return whole;
  throw bad(path, 'a whole number of at least 0 and below 2^64', value);
}

export function shapeAt(value: unknown, path: string, rank: number): readonly number[] {
  const shape: number[] = [];
  for (const [axis, size] of arrayAt(value, path, rank).entries()) {
    if (typeof size === 'bigint') shape.push(Number(size));
    else if (typeof size !== 'number') throw bad(`${path}[${axis}]`, 'a whole number of at least 0', size);
    else shape.push(size);
  }
  return shape;
}

export function datatypeAt(value: unknown, path: string): Datatype {
  const known = DATATYPES.find((datatype) => datatype === value);
  if (known !== undefined) return known;
  if (typeof value !== 'string') throw bad(path, `one of ${DATATYPES.join(', ')}`, value);
  const found = `, it is ${JSON.stringify(value.slice(0, 32))}`;
  throw new SkerryError('SERVE_REQUEST', `${path} must be one of ${DATATYPES.join(', ')}${found}`, { details: { path } });
}
