import { SkerryError } from '#shared/kernel/errors.js';
import type { Datatype } from './datatype.js';
import { NOT_FINITE } from './not-finite.js';

type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;

/** How the elements of one JSON tensor are read: what holds them, and the check that one element fits the datatype. */
export type JsonReader =
  | { readonly kind: 'number'; allocate(count: number): NumberArray; read(value: unknown, at: number): number }
  | { readonly kind: 'bigint'; allocate(count: number): BigInt64Array | BigUint64Array; read(value: unknown, at: number): bigint }
  | { readonly kind: 'text'; read(value: unknown, at: number): string };

const FLOAT32_MAX = 2 ** 128 - 2 ** 104;
const DECIMAL = /^-?\d{1,20}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A number from JSON in words. Beyond 2^53 it may have other digits than were sent, so none are shown. */
export function describeNumber(value: number): string {
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? 'a whole number beyond 2^53' : String(value);
}

/** The reader of one datatype; every element that does not fit it is `TENSOR_DATA`. FP16 and BF16 are `TENSOR_NOT_IN_JSON`. */
export function jsonReader(datatype: Datatype, what: string): JsonReader {
  const bad = (value: unknown, at: number, expected: string): SkerryError => {
    const shown =
      typeof value === 'number'
        ? describeNumber(value)
        : value === null || typeof value === 'string' || typeof value === 'boolean'
          ? JSON.stringify(value)
          : typeof value;
    return new SkerryError('TENSOR_DATA', `${what}: element ${at} is ${shown.slice(0, 40)}, expected ${expected} (${datatype})`);
  };

  const integers = (allocate: (count: number) => NumberArray, low: number, high: number): JsonReader => ({
    kind: 'number',
    allocate,
    read(value, at) {
      if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
      throw bad(value, at, `a whole number from ${low} to ${high}`);
    },
  });

  const bigintegers = (allocate: (count: number) => BigInt64Array | BigUint64Array, low: bigint, high: bigint): JsonReader => ({
    kind: 'bigint',
    allocate,
    read(value, at) {
      // A JSON number beyond 2^53 has already lost digits when it arrives here.
      const exact = typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && DECIMAL.test(value);
      if (exact && (typeof value === 'number' || typeof value === 'string')) {
        const integer = BigInt(value);
        if (integer >= low && integer <= high) return integer;
      }
      throw bad(value, at, `a whole number from ${low} to ${high}, as a decimal string beyond 2^53`);
    },
  });

  const floats = (allocate: (count: number) => NumberArray, max: number): JsonReader => ({
    kind: 'number',
    allocate,
    read(value, at) {
      if (typeof value === 'number' && Number.isFinite(value) && Math.abs(value) <= max) return value;
      if (NOT_FINITE.some((name) => name === value)) return Number(value);
      throw bad(value, at, 'a number within the range of the type, or "NaN", "Infinity" or "-Infinity"');
    },
  });

  switch (datatype) {
    case 'BOOL':
      return {
        kind: 'number',
        allocate: (count) => new Uint8Array(count),
        read(value, at) {
          if (typeof value === 'boolean') return value ? 1 : 0;
          throw bad(value, at, 'true or false');
        },
      };
    case 'UINT8':
      return integers((count) => new Uint8Array(count), 0, 0xff);
    case 'UINT16':
      return integers((count) => new Uint16Array(count), 0, 0xffff);
    case 'UINT32':
      return integers((count) => new Uint32Array(count), 0, 0xffffffff);
    case 'INT8':
      return integers((count) => new Int8Array(count), -0x80, 0x7f);
    case 'INT16':
      return integers((count) => new Int16Array(count), -0x8000, 0x7fff);
    case 'INT32':
      return integers((count) => new Int32Array(count), -0x80000000, 0x7fffffff);
    case 'INT64':
      return bigintegers((count) => new BigInt64Array(count), -(2n ** 63n), 2n ** 63n - 1n);
    case 'UINT64':
      return bigintegers((count) => new BigUint64Array(count), 0n, 2n ** 64n - 1n);
    case 'FP32':
      return floats((count) => new Float32Array(count), FLOAT32_MAX);
    case 'FP64':
      return floats((count) => new Float64Array(count), Number.MAX_VALUE);
    case 'BYTES':
      return {
        kind: 'text',
        read(value, at) {
          if (typeof value === 'string' && !LONE_SURROGATE.test(value)) return value;
          throw bad(value, at, 'a string of well-formed Unicode');
        },
      };
    case 'FP16':
    case 'BF16':
      break;
  }
  throw new SkerryError('TENSOR_NOT_IN_JSON', `${what} is ${datatype}, which has no JSON form (OIP v2)`);
}
