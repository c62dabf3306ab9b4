import { SkerryError } from '#shared/kernel/errors.js';
import { type ProtobufReader, WIRE } from './reader.js';
import type { ScalarType, ScalarValues } from './schema.js';
import { type ProtobufWriter, sizeOfVarint } from './writer.js';

/** How one kind of scalar is read and written. */
export interface ScalarCodec {
  readonly wire: number;
  readonly read: (reader: ProtobufReader) => unknown;
  /** Bytes of the value on the wire. */
  readonly size: (value: unknown) => number;
  readonly write: (writer: ProtobufWriter, value: unknown) => void;
  readonly initial: unknown;
}

interface TypedCodec<T> {
  readonly wire: number;
  readonly is: (value: unknown) => value is T;
  readonly read: (reader: ProtobufReader) => T;
  readonly size: (value: T) => number;
  readonly write: (writer: ProtobufWriter, value: T) => void;
  readonly initial: T;
}

const isNumber = (value: unknown): value is number => typeof value === 'number';
const isBigInt = (value: unknown): value is bigint => typeof value === 'bigint';
const isString = (value: unknown): value is string => typeof value === 'string';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

const varint = { wire: WIRE.varint, size: sizeOfVarint, write: (writer: ProtobufWriter, value: number | bigint) => writer.varint(value) };
const prefixed = (length: number): number => sizeOfVarint(length) + length;

export const SCALARS: Readonly<Record<ScalarType, ScalarCodec>> = {
  bool: codec<boolean>({
    wire: WIRE.varint,
    is: isBoolean,
    read: (reader) => reader.bool(),
    size: () => 1,
    write: (writer, value) => writer.varint(value ? 1 : 0),
    initial: false,
  }),
  int32: codec<number>({ ...varint, is: isNumber, read: (reader) => reader.int32(), initial: 0 }),
  uint32: codec<number>({ ...varint, is: isNumber, read: (reader) => reader.uint32(), initial: 0 }),
  long: codec<number>({ ...varint, is: isNumber, read: (reader) => reader.long(), initial: 0 }),
  ulong: codec<number>({ ...varint, is: isNumber, read: (reader) => reader.ulong(), initial: 0 }),
  int64: codec<bigint>({ ...varint, is: isBigInt, read: (reader) => reader.int64(), initial: 0n }),
  uint64: codec<bigint>({ ...varint, is: isBigInt, read: (reader) => reader.uint64(), initial: 0n }),
  float: codec<number>({
    wire: WIRE.fixed32,
    is: isNumber,
    read: (reader) => reader.float(),
    size: () => 4,
    write: (writer, value) => writer.float(value),
    initial: 0,
  }),
  double: codec<number>({
    wire: WIRE.fixed64,
    is: isNumber,
    read: (reader) => reader.double(),
    size: () => 8,
    write: (writer, value) => writer.double(value),
    initial: 0,
  }),
  string: codec<string>({
    wire: WIRE.bytes,
    is: isString,
    read: (reader) => reader.string(),
    size: (value) => prefixed(Buffer.byteLength(value)),
    write: (writer, value) => writer.string(value),
    initial: '',
  }),
  bytes: codec<Uint8Array>({
    wire: WIRE.bytes,
    is: isBytes,
    read: (reader) => reader.bytes(),
    size: (value) => prefixed(value.byteLength),
    write: (writer, value) => writer.bytes(value),
    initial: new Uint8Array(),
  }),
};

/** Proto3 leaves such a value of a plain field out. */
export function isDefault(type: ScalarType, value: unknown): boolean {
  if (type === 'bytes') return isBytes(value) && value.byteLength === 0;
  // Minus zero is another value than the default.
  return Object.is(value, SCALARS[type].initial);
}

function codec<T extends ScalarValues[ScalarType]>({ wire, is, read, size, write, initial }: TypedCodec<T>): ScalarCodec {
  const typed = (value: unknown): T => {
    if (is(value)) return value;
    throw new SkerryError('INTERNAL', `a value of type ${typeof value} stands where a message has a ${typeof initial}`);
  };
  return {
    wire,
    read,
    size: (value) => size(typed(value)),
    write: (writer, value) => write(writer, typed(value)),
    initial,
  };
}
