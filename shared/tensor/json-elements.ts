import { SkerryError } from '#shared/kernel/errors.js';
import type { Datatype } from './datatype.js';
import { floatForm } from './float-form.js';
import { NOT_FINITE } from './not-finite.js';

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

/** How the elements of one JSON tensor are read: what holds them, and the check that one element fits the datatype. */
export type JsonReader =
  | { readonly kind: 'number'; allocate(count: number): NumberArray; read(value: unknown, at: number): number }
  | { readonly kind: 'bigint'; allocate(count: number): BigInt64Array | BigUint64Array; read(value: unknown, at: number): bigint }
  | { readonly kind: 'text'; read(value: unknown, at: number): string };

const DECIMAL = /^-?\d{1,20}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A number from JSON in words. Beyond 2^53 it may have other digits than were sent, so none are shown. */
export function describeNumber(value: number): string {
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? 'a whole number beyond 2^53' : String(value);
}

/** The error of an element that does not fit. */
type Refuse = (value: unknown, at: number, expected: string) => SkerryError;
type ReaderOf = (refuse: Refuse) => JsonReader;

/** One row for each datatype. */
const READERS: Readonly<Record<Datatype, ReaderOf>> = {
  BOOL: booleans,
  UINT8: integers((count) => new Uint8Array(count), 0, 0xff),
  UINT16: integers((count) => new Uint16Array(count), 0, 0xffff),
  UINT32: integers((count) => new Uint32Array(count), 0, 0xffffffff),
  INT8: integers((count) => new Int8Array(count), -0x80, 0x7f),
  INT16: integers((count) => new Int16Array(count), -0x8000, 0x7fff),
  INT32: integers((count) => new Int32Array(count), -0x80000000, 0x7fffffff),
  INT64: bigintegers((count) => new BigInt64Array(count), -(2n ** 63n), 2n ** 63n - 1n),
  UINT64: bigintegers((count) => new BigUint64Array(count), 0n, 2n ** 64n - 1n),
  // The first number of each type that rounds to infinity lies half a step beyond its largest.
  FP16: floats('FP16', (count) => new Uint16Array(count), 65_520),
  BF16: floats('BF16', (count) => new Uint16Array(count), 2 ** 128 - 2 ** 119),
  FP32: floats('FP32', (count) => new Float32Array(count), 2 ** 128 - 2 ** 103),
  FP64: floats('FP64', (count) => new Float64Array(count), Number.POSITIVE_INFINITY),
  BYTES: texts,
};

/** The reader of one datatype; every element that does not fit it is `TENSOR_DATA`. */
export function jsonReader(datatype: Datatype, what: string): JsonReader {
  return READERS[datatype]((value, at, expected) => {
    const shown = describeElement(value).slice(0, 40);
    return new SkerryError('TENSOR_DATA', `${what}: element ${at} is ${shown}, expected ${expected} (${datatype})`);
  });
}

function describeElement(value: unknown): string {
  if (typeof value === 'number') return describeNumber(value);
  return value === null || typeof value === 'string' || typeof value === 'boolean' ? JSON.stringify(value) : typeof value;
}

function booleans(refuse: Refuse): JsonReader {
  return {
    kind: 'number',
    allocate: (count) => new Uint8Array(count),
    read(value, at) {
      if (typeof value === 'boolean') return value ? 1 : 0;
      throw refuse(value, at, 'true or false');
    },
  };
}

function integers(allocate: (count: number) => NumberArray, low: number, high: number): ReaderOf {
  return (refuse) => ({
    kind: 'number',
    allocate,
    read(value, at) {
      if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
      throw refuse(value, at, `a whole number from ${low} to ${high}`);
    },
  });
}

function bigintegers(allocate: (count: number) => BigInt64Array | BigUint64Array, low: bigint, high: bigint): ReaderOf {
  return (refuse) => ({
    kind: 'bigint',
    allocate,
    read(value, at) {
      // A JSON number beyond 2^53 has already lost digits when it arrives here.
      const exact = typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && DECIMAL.test(value);
      if (exact && (typeof value === 'number' || typeof value === 'string')) {
        const integer = BigInt(value);
        if (integer >= low && integer <= high) return integer;
      }
      throw refuse(value, at, `a whole number from ${low} to ${high}, as a decimal string beyond 2^53`);
    },
  });
}

/** Numbers, each as the nearest that the type has; what rounds to infinity is refused. */
function floats(datatype: Datatype, allocate: (count: number) => NumberArray, tooLarge: number): ReaderOf {
  const write = floatForm(datatype)?.write ?? Number;
  return (refuse) => ({
    kind: 'number',
    allocate,
    read(value, at) {
      if (typeof value === 'number' && Math.abs(value) < tooLarge) return write(value);
      if (NOT_FINITE.some((name) => name === value)) return write(Number(value));
      throw refuse(value, at, 'a number within the range of the type, or "NaN", "Infinity" or "-Infinity"');
    },
  });
}

function texts(refuse: Refuse): JsonReader {
  return {
    kind: 'text',
    read(value, at) {
      if (typeof value === 'string' && !LONE_SURROGATE.test(value)) return value;
      throw refuse(value, at, 'a string of well-formed Unicode');
    },
  };
}
