import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { tensorFromContents } from '#agent/serve/dialects/oip/grpc/tensor-contents.js';
import { readTensorProto } from '#agent/serve/dialects/tensorflow-serving/grpc/tensor-proto.js';
import { inputsOfExamples } from '#agent/serve/dialects/tensorflow-serving/grpc/example-inputs.js';
import { INPUT } from '#agent/serve/dialects/tensorflow-serving/grpc/example-protos.js';
import { TENSOR } from '#agent/serve/dialects/tensorflow-serving/grpc/serving-proto.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { atOnce } from '#shared/kernel/turns.js';
import { decode } from '#shared/protobuf/decode.js';
import { encode } from '#shared/protobuf/encode.js';
import { INFER_TENSOR_CONTENTS, MODEL_INFER_REQUEST } from '#shared/protobuf/inference/grpc-service-proto.js';
import { MODEL_CONFIG } from '#shared/protobuf/inference/model-config-proto.js';
import { choice, type EnumType, many, map, message, type MessageInit, type MessageType, one, opaque } from '#shared/protobuf/schema.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import type { Tensor, TensorSpec } from '#shared/tensor/tensor.js';

const KIND: EnumType = { name: 't.Kind', values: { A: 0, B: 1 } };
const INNER = message('t.Inner', { text: one('string', 1), numbers: many('long', 2) });
/** Every kind of field that a table can have. */
const ALL = message('t.All', {
  flag: one('bool', 1),
  int: one('int32', 2),
  uint: one('uint32', 3),
  exact: one('int64', 4),
  unsigned: one('uint64', 5),
  count: one('ulong', 6),
  real: one('double', 7),
  text: one('string', 8),
  data: one('bytes', 9),
  kind: one(KIND, 10),
  inner: one(INNER, 11),
  reals: many('double', 12),
  texts: many('string', 13),
  inners: many(INNER, 14),
  named: map(INNER, 15),
  words: map('string', 1000),
  left: choice('side', 'int64', 20),
  right: choice('side', 'string', 21),
});

const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const inner = fc.record({ text, numbers: fc.array(fc.maxSafeInteger(), { maxLength: 4 }) });
const exact = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const all = fc.record({
  flag: fc.boolean(),
  int: fc.integer(),
  uint: fc.nat({ max: 2 ** 32 - 1 }),
  exact,
  unsigned: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  count: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  real: fc.double(),
  text,
  data: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
  kind: fc.nat({ max: 1 }),
  inner: fc.option(inner, { nil: undefined }),
  reals: fc.array(fc.double(), { maxLength: 4 }),
  texts: fc.array(text, { maxLength: 4 }),
  inners: fc.array(inner, { maxLength: 3 }),
  named: fc.array(fc.tuple(text, inner), { maxLength: 3 }).map((entries) => new Map(entries)),
  words: fc.array(fc.tuple(text, text), { maxLength: 3 }).map((entries) => new Map(entries)),
  side: fc.oneof(
    exact.map((left) => ({ left, right: undefined })),
    text.map((right) => ({ left: undefined, right })),
  ),
});

test('what is written is read as it was', () => {
  fc.assert(
    fc.property(all, ({ side, ...rest }) => {
      const value = { ...rest, ...side };
      const read = decode(ALL, encode(ALL, value));
      expect({ ...read, data: Buffer.from(read.data) }).toEqual(value);
    }),
  );
});

test('of a message in two pieces the later values count and lists go on', () => {
  fc.assert(
    fc.property(inner, inner, (first, second) => {
      const joined = decode(INNER, Buffer.concat([encode(INNER, first), encode(INNER, second)]));
      expect(joined.numbers).toEqual([...first.numbers, ...second.numbers]);
      expect(joined.text).toBe(second.text === '' ? first.text : second.text);
    }),
  );
});

test('a message in a message that comes twice is merged, also as the value of a map and of a oneof', () => {
  const whole = message('t.Whole', {
    inner: one(INNER, 1),
    named: map(INNER, 2),
    left: choice('side', INNER, 3),
    right: choice('side', 'string', 4),
  });
  const pieces = [{ text: 'first', numbers: [1] }, { numbers: [2] }];
  const joined = (...parts: MessageInit<typeof whole>[]) => decode(whole, Buffer.concat(parts.map((part) => encode(whole, part))));
  const merged = { text: 'first', numbers: [1, 2] };
  expect(joined(...pieces.map((piece) => ({ inner: piece }))).inner).toEqual(merged);
  expect(joined(...pieces.map((left) => ({ left }))).left).toEqual(merged);
  // Of a oneof that was another one in between, only what came last is there.
  const [first = {}, second = {}] = pieces;
  expect(joined({ left: first }, { right: 'x' }, { left: second }).left).toEqual({ text: '', numbers: [2] });
  const values = Buffer.concat(pieces.map((value) => encode(message('t.Entry', { value: one(INNER, 2) }), { value })));
  const entry = Buffer.concat([Buffer.from([18, values.byteLength]), values]);
  expect(decode(whole, entry).named.get('')).toEqual(merged);
});

test('fields that nobody knows, empty pieces and groups cost no more than a turn of the event loop', () => {
  const MANY = 2 * 1024 * 1024;
  const unknown = Buffer.alloc(MANY, Buffer.from([16 * 8 - 8, 1]));
  const emptyPacked = Buffer.alloc(MANY, Buffer.from([12 * 8 + 2, 0]));
  const group = Buffer.concat([Buffer.from([99, 6]), Buffer.alloc(MANY, Buffer.from([8, 1])), Buffer.from([100, 6])]);
  for (const bytes of [unknown, emptyPacked, group]) expect(outcomeOf(() => decode(ALL, bytes))).toBe('caller');
  // Typed contents are as long as a tensor, so they are gone over in turns: field 3 is int64_contents, field 15 nobody's.
  for (const filling of [Buffer.from([3 * 8 + 2, 0]), Buffer.from([15 * 8, 1])]) {
    const contents = Buffer.concat([Buffer.alloc(MANY, filling), encode(INFER_TENSOR_CONTENTS, { int64_contents: [5n] })]);
    expect(stepsOf(tensorFromContents('INT64', [1], contents, 'x'))).toBeGreaterThan(MANY / 2 / 20_000);
  }
  // Examples without a feature, which a context has.
  const context = { features: { feature: new Map([['n', { int64_list: { value: [1n] } }]]) } };
  const head = encode(INPUT, { example_list_with_context: { context } });
  const examples = Buffer.alloc(MANY / 8, Buffer.from([10, 0]));
  const input = Buffer.concat([head, Buffer.from([18, 0x80, 0x80, 0x10]), examples]);
  expect(stepsOf(inputsOfExamples(input, [{ name: 'n', datatype: 'INT16', shape: [-1] }]))).toBeGreaterThan(MANY / 16);
});

/** Places where work can be interrupted. */
function stepsOf(work: Generator<void, unknown>): number {
  let steps = 0;
  while (work.next().done !== true) steps++;
  return steps;
}

/** What became of bytes: `read`, or whose fault they are. */
function outcomeOf(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    return error instanceof SkerryError && error.code !== 'INTERNAL' ? error.entry.fault : 'crash';
  }
}

test('whatever comes, it is read or refused as the caller’s fault', () => {
  const types: readonly MessageType[] = [ALL, MODEL_INFER_REQUEST, MODEL_CONFIG];
  const anyType = fc.constantFrom(...types);
  // Small bytes are tags and lengths more often than others.
  const bytes = fc.array(fc.oneof(fc.nat({ max: 31 }), fc.nat({ max: 255 })), { maxLength: 120 }).map((list) => Buffer.from(list));
  fc.assert(
    fc.property(anyType, bytes, (type, hostile) => {
      expect(['read', 'caller']).toContain(outcomeOf(() => decode(type, hostile)));
    }),
  );
  const shape = fc.array(fc.nat({ max: 5 }), { maxLength: 3 });
  fc.assert(
    fc.property(fc.constantFrom(...DATATYPES), shape, bytes, (datatype, sizes, contents) => {
      expect(['read', 'caller']).toContain(outcomeOf(() => atOnce(tensorFromContents(datatype, sizes, contents, 'input'))));
    }),
  );
});

test('cut or altered messages of requests are read or refused', () => {
  const request = { model_name: 'm', inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }], raw_input_contents: [Buffer.alloc(8)] };
  const good = encode(MODEL_INFER_REQUEST, request);
  for (let at = 0; at < good.byteLength; at++) {
    for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
      const altered = Buffer.from(good);
      altered[at] = byte;
      expect(['read', 'caller']).toContain(outcomeOf(() => decode(MODEL_INFER_REQUEST, altered)));
    }
    expect(['read', 'caller']).toContain(outcomeOf(() => decode(MODEL_INFER_REQUEST, good.subarray(0, at))));
  }
});

test('typed contents give the elements that were sent, packed or not', () => {
  const values = fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 20 });
  fc.assert(
    fc.property(values, (list) => {
      const contents = encode(INFER_TENSOR_CONTENTS, { int64_contents: list });
      const tensor = atOnce(tensorFromContents('INT64', [list.length], contents, 'x'));
      expect([...new BigInt64Array(Uint8Array.from(tensor.data).buffer)]).toEqual(list);
      // One tag for each value, as older writers do.
      const single = Buffer.concat(list.map((value) => encode(message('t.One', { value: choice('v', 'int64', 3) }), { value })));
      expect(atOnce(tensorFromContents('INT64', [list.length], single, 'x')).data).toEqual(tensor.data);
    }),
  );
});

test('a message cannot claim more entries than are accepted, nor a shape more memory than was sent', () => {
  const many70k = Buffer.alloc(140_000, Buffer.from([6 * 8 + 2, 0]));
  expect(outcomeOf(() => decode(MODEL_INFER_REQUEST, many70k))).toBe('caller');
  let thrown: unknown;
  try {
    atOnce(tensorFromContents('FP64', [8_000_000], Buffer.alloc(0), 'x'));
  } catch (error) {
    thrown = error;
  }
  expect(hasCode(thrown, 'TENSOR_DATA')).toBe(true);
});

test('a message that is kept as bytes is joined from small pieces, and large ones are refused before they are copied', () => {
  const held = message('t.Held', { inner: opaque(INNER, 1) });
  const whole = message('t.Whole', { inner: one(INNER, 1) });
  const piece = (words: string): Uint8Array => encode(whole, { inner: { text: words, numbers: [7] } });
  const joined = decode(held, Buffer.concat([piece('first'), piece('second')])).inner;
  expect(decode(INNER, joined ?? new Uint8Array())).toEqual({ text: 'second', numbers: [7, 7] });
  const large = Buffer.concat([piece('x'.repeat(16 * 1024)), piece('y')]);
  expect(outcomeOf(() => decode(held, large))).toBe('caller');
});

const INPUTS: readonly TensorSpec[] = [
  { name: 'x', datatype: 'FP32', shape: [-1, -1] },
  { name: 'n', datatype: 'INT16', shape: [-1] },
  { name: 't', datatype: 'BYTES', shape: [-1, 2] },
];

test('examples of TensorFlow are read as they were written, or refused as the caller’s fault', () => {
  const int16 = fc.integer({ min: -0x8000, max: 0x7fff });
  const row = (width: number) =>
    fc.record({ x: fc.array(fc.float({ noNaN: true }), { minLength: width, maxLength: width }), n: int16, t: fc.tuple(text, text) });
  const rows = fc.integer({ min: 1, max: 4 }).chain((width) => fc.array(row(width), { minLength: 1, maxLength: 5 }));
  const inputOf = (list: readonly { readonly x: number[]; readonly n: number; readonly t: readonly string[] }[], shared: boolean) => {
    const example = ({ x, n, t }: (typeof list)[number], names: readonly string[]) => {
      const features = {
        x: { float_list: { value: x } },
        n: { int64_list: { value: [BigInt(n)] } },
        t: { bytes_list: { value: t.map((word) => Buffer.from(word)) } },
      };
      return { features: { feature: new Map(Object.entries(features).filter(([name]) => names.includes(name))) } };
    };
    const [first] = list;
    if (!shared || first === undefined) {
      return encode(INPUT, { example_list: { examples: list.map((entry) => example(entry, ['x', 'n', 't'])) } });
    }
    const examples = list.map((entry) => example(entry, ['x', 't']));
    return encode(INPUT, { example_list_with_context: { examples, context: example(first, ['n']) } });
  };
  fc.assert(
    fc.property(rows, fc.boolean(), (list, shared) => {
      const read = atOnce(inputsOfExamples(inputOf(list, shared), INPUTS));
      expect(read['x']?.shape).toEqual([list.length, list[0]?.x.length]);
      expect([...new Float32Array(Uint8Array.from(read['x']?.data ?? []).buffer)]).toEqual(list.flatMap(({ x }) => x));
      expect([...new Int16Array(Uint8Array.from(read['n']?.data ?? []).buffer)]).toEqual(list.map(({ n }) => (shared ? list[0]?.n : n)));
      expect(read['t']?.data).toEqual(joinBytesElements(list.flatMap(({ t }) => t.map((word) => Buffer.from(word)))));
    }),
  );
  const altered = fc.tuple(rows, fc.boolean(), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat());
  fc.assert(
    fc.property(altered, ([list, shared, changes, cut]) => {
      const bytes = inputOf(list, shared);
      for (const [at, byte] of changes) bytes[at % bytes.byteLength] = byte;
      const hostile = bytes.subarray(0, bytes.byteLength - (cut % 8));
      expect(['read', 'caller']).toContain(outcomeOf(() => atOnce(inputsOfExamples(hostile, INPUTS))));
    }),
  );
});

test('numbers of TensorFlow that one value stands for are bounded, and values that do not fit are refused', () => {
  const tensor = (dtype: number, size: number, values: object): (() => Tensor) => {
    const bytes = encode(TENSOR, { dtype, tensor_shape: { dim: [{ size }] }, ...values });
    return () => atOnce(readTensorProto(decode(TENSOR, bytes), 'x'));
  };
  const float = { float_val: [Buffer.from(Float32Array.of(0.5).buffer)] };
  const filled = Buffer.from(new Float32Array(1_000_003).fill(0.5).buffer);
  expect(filled.equals(tensor(1, 1_000_003, float)().data)).toBe(true);
  expect(outcomeOf(tensor(1, 60_000_000, float))).toBe('caller');
  // DT_UINT8 (4) and DT_INT8 (6) share int_val; 200 and 300 as varints.
  expect([...tensor(4, 1, { int_val: [Buffer.from([0xc8, 0x01])] })().data]).toEqual([200]);
  for (const dtype of [4, 6]) expect(outcomeOf(tensor(dtype, 1, { int_val: [Buffer.from([0xac, 0x02])] }))).toBe('caller');
});
