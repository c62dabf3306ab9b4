// Messages as tables of fields: the codec, the types of values and the descriptors for reflection derive from one table.

/** What a scalar is in JavaScript. */
export interface ScalarValues {
  readonly bool: boolean;
  readonly int32: number;
  readonly uint32: number;
  readonly int64: bigint;
  readonly uint64: bigint;
  /** int64 that counts something: a number, exact up to 2^53. */
  readonly long: number;
  /** uint64 that counts something. */
  readonly ulong: number;
  readonly float: number;
  readonly double: number;
  readonly string: string;
  readonly bytes: Uint8Array;
}

export type ScalarType = keyof ScalarValues;

export interface EnumType {
  readonly name: string;
  readonly values: Readonly<Record<string, number>>;
}

/** `opaque`: a message that is kept as its bytes, for a reader of its own. */
type Label = 'one' | 'many' | 'map' | 'choice' | 'opaque';

export interface Field<T extends FieldType = FieldType, L extends Label = Label> {
  readonly number: number;
  readonly type: T;
  readonly label: L;
  /** Group of fields of which at most one is set. */
  readonly oneof?: string;
  /** Of a map. */
  readonly key?: 'string' | 'ulong';
}

export type FieldTable = Readonly<Record<string, Field>>;

export interface MessageType<Fields extends FieldTable = FieldTable> {
  /** With the package, and the message it is declared in. */
  readonly name: string;
  readonly fields: Fields;
  readonly byNumber: ReadonlyMap<number, NamedField>;
}

export interface NamedField extends Field {
  readonly name: string;
}

export type FieldType = ScalarType | EnumType | MessageType;

type Single<T> = T extends ScalarType ? ScalarValues[T] : T extends MessageType<infer F> ? Decoded<F> : T extends EnumType ? number : never;

type DecodedField<F> =
  F extends Field<infer T, infer L>
    ? L extends 'many'
      ? readonly Single<T>[]
      : L extends 'map'
        ? ReadonlyMap<string, Single<T>>
        : L extends 'choice'
          ? Single<T> | undefined
          : L extends 'opaque'
            ? Uint8Array | undefined
            : T extends MessageType
              ? Single<T> | undefined
              : Single<T>
    : never;

type Decoded<Fields extends FieldTable> = { readonly [K in keyof Fields]: DecodedField<Fields[K]> };

/** A message that was read: every field has a value, the default where none was sent. */
export type MessageOf<M> = M extends MessageType<infer F> ? Decoded<F> : never;

type SingleInit<T> = T extends ScalarType
  ? ScalarValues[T]
  : T extends MessageType<infer F>
    ? Init<F>
    : T extends EnumType
      ? number
      : never;

type FieldInit<F> =
  F extends Field<infer T, infer L>
    ? L extends 'many'
      ? readonly SingleInit<T>[]
      : L extends 'map'
        ? ReadonlyMap<string, SingleInit<T>>
        : L extends 'opaque'
          ? Uint8Array
          : SingleInit<T>
    : never;

type Init<Fields extends FieldTable> = { readonly [K in keyof Fields]?: FieldInit<Fields[K]> | undefined };

/** A message to write; a field that is left out has its default. */
export type MessageInit<M> = M extends MessageType<infer F> ? Init<F> : never;

export function message<const Fields extends FieldTable>(name: string, fields: Fields): MessageType<Fields> {
  const entries = Object.entries<Field>(fields).map(([fieldName, field]) => [field.number, { ...field, name: fieldName }] as const);
  return { name, fields, byNumber: new Map(entries) };
}

export function one<const T extends FieldType>(type: T, number: number): Field<T, 'one'> {
  return { number, type, label: 'one' };
}

export function many<const T extends FieldType>(type: T, number: number): Field<T, 'many'> {
  return { number, type, label: 'many' };
}

export function map<const T extends FieldType>(type: T, number: number, key: 'string' | 'ulong' = 'string'): Field<T, 'map'> {
  return { number, type, label: 'map', key };
}

/** A field of a oneof. */
export function choice<const T extends FieldType>(oneof: string, type: T, number: number): Field<T, 'choice'> {
  return { number, type, label: 'choice', oneof };
}

export function opaque<const T extends MessageType>(type: T, number: number): Field<T, 'opaque'> {
  return { number, type, label: 'opaque' };
}

/** Which sides of a call are streams. */
export type Streaming = 'none' | 'answers' | 'both';

export interface Rpc<Request extends MessageType = MessageType, Answer extends MessageType = MessageType, S extends Streaming = Streaming> {
  readonly request: Request;
  readonly answer: Answer;
  readonly streaming: S;
}

export interface ServiceType<Rpcs extends Readonly<Record<string, Rpc>> = Readonly<Record<string, Rpc>>> {
  readonly name: string;
  readonly rpcs: Rpcs;
}

export function service<const Rpcs extends Readonly<Record<string, Rpc>>>(name: string, rpcs: Rpcs): ServiceType<Rpcs> {
  return { name, rpcs };
}

export function rpc<Request extends MessageType, Answer extends MessageType>(
  request: Request,
  answer: Answer,
): Rpc<Request, Answer, 'none'> {
  return { request, answer, streaming: 'none' };
}

export function streamingRpc<Request extends MessageType, Answer extends MessageType, const S extends Streaming>(
  request: Request,
  answer: Answer,
  streaming: S,
): Rpc<Request, Answer, S> {
  return { request, answer, streaming };
}

export function isMessageType(type: FieldType): type is MessageType {
  return typeof type === 'object' && 'byNumber' in type;
}

export function isEnumType(type: FieldType): type is EnumType {
  return typeof type === 'object' && 'values' in type;
}
