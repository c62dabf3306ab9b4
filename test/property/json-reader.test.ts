import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { JsonText, readDocument } from '#shared/tensor/json-document.js';
import { fromJsonText } from '#shared/tensor/json-tensor.js';
import { fromJson } from '#shared/tensor/json.js';
import { atOnce } from '#shared/kernel/turns.js';
import { outcome } from '../kit/coded.js';

const read = (text: string | Uint8Array, ...tensorMembers: string[]): unknown =>
  atOnce(readDocument(Buffer.from(text), { what: 'the body', code: 'SERVE_BODY', tensorMembers: new Set(tensorMembers) }));

/** What becomes of a text: its value, or that it is refused. */
const valueOr = (make: () => unknown): unknown => {
  try {
    return { value: make() };
  } catch {
    return 'refused';
  }
};

const WELL_FORMED = fc.string({ unit: 'grapheme' });
/** JSON text with the spaces, escapes and forms of numbers that writers choose differently. */
const spelled = fc
  .tuple(fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }), fc.constantFrom(undefined, 1, '\t', '\r\n '))
  .map(([value, space]) => JSON.stringify(value, undefined, space));
const numberText = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.integer().map(String),
  fc
    .tuple(fc.bigInt(), fc.nat(400), fc.integer({ min: -400, max: 400 }))
    .map(([whole, fraction, power]) => `${whole}.${fraction}e${power}`),
  fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,3})?$/),
);

describe('a document is read as JSON.parse reads it', () => {
  test('whatever is JSON', () => {
    fc.assert(
      fc.property(spelled, (text) => {
        expect(read(text)).toEqual(JSON.parse(text));
      }),
    );
    fc.assert(
      fc.property(numberText, (text) => {
        expect(read(text)).toBe(JSON.parse(text));
      }),
    );
    for (const text of ['{"__proto__":{"a":1},"constructor":2}', '{"a":1,"a":2}', ' [ ] ', '{ }', '"\\u00e9\\ud834\\udd1e\\/\\b"']) {
      expect(read(text)).toEqual(JSON.parse(text));
    }
    expect(read('\ufeff[1]')).toEqual([1]);
  });

  test('what is almost JSON is refused where JSON.parse refuses it', () => {
    const damaged = fc
      .tuple(spelled, fc.nat(), fc.nat(2), fc.constantFrom(...Array.from('{}[],:"\\0-.eEtfn u+\u0000\u001fN')))
      .map(([text, place, cut, put]) => {
        const at = place % (text.length + 1);
        return text.slice(0, at) + put + text.slice(at + cut);
      });
    // Half of a surrogate pair is the one thing that JSON.parse takes and we do not.
    const whole = damaged.filter((text) => !/\\u[dD][89a-fA-F]/.test(text) && !/\p{Surrogate}/u.test(text));
    const same = (text: string): void => {
      expect(valueOr(() => read(text))).toEqual(valueOr((): unknown => JSON.parse(text)));
    };
    fc.assert(fc.property(whole, same), { numRuns: 2_000 });
    fc.assert(fc.property(fc.stringMatching(/^[-+.eE\d]{1,6}$/), same), { numRuns: 500 });
    // The same inside of tensors, whose text is read in two steps.
    fc.assert(
      fc.property(whole, fc.constantFrom('FP64', 'BYTES'), (text, datatype) => {
        const around = `{"data":[${text}]}`;
        const isJson = valueOr((): unknown => JSON.parse(around)) !== 'refused';
        const found = valueOr(() => {
          const document = read(around, 'data') as { readonly data?: unknown };
          return document.data instanceof JsonText ? atOnce(fromJsonText(datatype, [1], document.data, 'x')) : undefined;
        });
        expect(found === 'refused' || isJson).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('bytes that are no text, and halves of surrogate pairs, are refused', () => {
    for (const bytes of [
      [0x22, 0xe9, 0x22],
      [0x22, 0xc3, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0xff, 0xfe, 0x31, 0x00],
    ]) {
      expect(outcome(() => read(Uint8Array.from(bytes)))).toEqual({ code: 'SERVE_BODY' });
    }
    for (const half of ['\\ud800', '\\udc00\\ud800', '\\ud83dx', '\\uD83D\\u0041']) {
      for (const text of [`"${half}"`, `{"${half}":1}`, `{"data":["${half}"]}`])
        expect(outcome(() => read(text, 'data'))).toEqual({ code: 'SERVE_BODY' });
    }
  });
});

/** Elements as JSON text, right ones and wrong ones, for any datatype. */
const elementText = fc.oneof(
  { weight: 8, arbitrary: numberText },
  { weight: 2, arbitrary: fc.bigInt(-(2n ** 64n), 2n ** 65n).map((value) => JSON.stringify(String(value))) },
  { weight: 2, arbitrary: WELL_FORMED.map((text) => JSON.stringify(text)) },
  fc.constantFrom(
    'true',
    'false',
    'null',
    '[]',
    '[1]',
    '{}',
    '{"a":[1]}',
    '"NaN"',
    '"Infinity"',
    '"-Infinity"',
    '-0',
    '"\\u0041\\n\\ud83d\\ude00"',
  ),
);

describe('a tensor is read from its text as fromJson reads it from values', () => {
  const whatComes = (datatype: (typeof DATATYPES)[number], shape: readonly number[], text: string): void => {
    const document = read(`{"data":${text}}`, 'data');
    const data = typeof document === 'object' && document !== null && 'data' in document ? document.data : undefined;
    const ofText = outcome(() =>
      data instanceof JsonText ? atOnce(fromJsonText(datatype, shape, data, 'x')) : fromJson(datatype, shape, data, 'x'),
    );
    expect(ofText).toEqual(outcome(() => fromJson(datatype, shape, JSON.parse(text), 'x')));
  };

  test('flat, of every datatype, with elements that fit or not', () => {
    const wanted = DATATYPES.filter((datatype) => datatype !== 'INT64' && datatype !== 'UINT64');
    fc.assert(
      fc.property(fc.constantFrom(...wanted), fc.array(elementText, { maxLength: 6 }), fc.nat(6), (datatype, elements, count) => {
        whatComes(datatype, [count], `[${elements.join(' , ')}]`);
        whatComes(datatype, [elements.length], `[${elements.join(',')}]`);
      }),
      { numRuns: 1_000 },
    );
  });

  test('right elements of each kind', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true })), (values) =>
        whatComes('FP32', [values.length], JSON.stringify(values)),
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })), (values) =>
        whatComes('FP64', [values.length], JSON.stringify(values)),
      ),
    );
    fc.assert(fc.property(fc.array(WELL_FORMED), (values) => whatComes('BYTES', [values.length], JSON.stringify(values))));
    fc.assert(fc.property(fc.array(fc.maxSafeInteger()), (values) => whatComes('INT64', [values.length], JSON.stringify(values))));
    fc.assert(fc.property(fc.array(fc.boolean()), (values) => whatComes('BOOL', [values.length], JSON.stringify(values))));
  });

  test('nested as the shape says, or not', () => {
    const nested = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.nat(9).map(String),
        fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
      ),
    })).value;
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 4 }), nested, (shape, text) => whatComes('INT32', shape, `[${text}]`)),
      { numRuns: 1_000 },
    );
    const shapes = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(shapes, (shape) => {
        const nest = (axis: number): unknown =>
          axis === shape.length ? axis : Array.from({ length: shape[axis] ?? 0 }, () => nest(axis + 1));
        whatComes('FP32', shape, JSON.stringify(nest(0)));
      }),
    );
  });

  test('64-bit integers keep every digit, also as numbers', () => {
    const whole = (datatype: 'INT64' | 'UINT64', low: bigint, high: bigint): void =>
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.bigInt(low, high), fc.boolean()), { minLength: 1 }), (values) => {
          const text = `[${values.map(([value, quoted]) => (quoted ? `"${value}"` : value)).join(',')}]`;
          const document = read(`{"data":${text}}`, 'data') as { readonly data: JsonText };
          const { data } = atOnce(fromJsonText(datatype, [values.length], document.data, 'x'));
          const elements = datatype === 'INT64' ? new BigInt64Array(data.slice().buffer) : new BigUint64Array(data.slice().buffer);
          expect([...elements]).toEqual(values.map(([value]) => value));
        }),
      );
    whole('INT64', -(2n ** 63n), 2n ** 63n - 1n);
    whole('UINT64', 0n, 2n ** 64n - 1n);
    for (const text of ['[9223372036854775808]', '[1.5]', '[1e30]', '[18446744073709551616]']) {
      const { data } = read(`{"data":${text}}`, 'data') as { readonly data: JsonText };
      expect(outcome(() => atOnce(fromJsonText('INT64', [1], data, 'x')))).toEqual({ code: 'TENSOR_DATA' });
    }
  });
});
