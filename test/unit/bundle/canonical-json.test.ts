import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '#shared/bundle/canonical-json.js';
import { coded } from '../../kit/coded.js';

const text = (value: unknown): string => new TextDecoder().decode(canonicalJson(value));

describe('canonicalJson', () => {
  it('gives the bytes of RFC 8785, section 3.2.4', () => {
    const value = JSON.parse(
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
    ) as unknown;
    const expected =
      '7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d';
    expect(Buffer.from(canonicalJson(value)).toString('hex')).toBe(expected);
  });

  it('sorts members by UTF-16 code units (RFC 8785, section 3.2.3)', () => {
    const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6'];
    const sorted = ['\r', '1', '\u0080', '\u00f6', '\u20ac', '\u{1f600}', '\ufb33'];
    expect(
      Object.keys(JSON.parse(text(Object.fromEntries(names.map((name) => [name, 0])))) as object).filter((name) => name !== '1'),
    ).toEqual(sorted.filter((name) => name !== '1'));
    expect(text({ b: 1, a: undefined, 10: 2, 9: 3 })).toBe('{"10":2,"9":3,"b":1}');
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [1n], ['\ud800'], [{ '\udc00': 1 }], [() => 1], [undefined]])(
    'refuses %s',
    (value) => {
      expect(() => canonicalJson(value)).toThrow(coded('INPUT_SCHEMA'));
    },
  );

  it('reads back as the same value, and does not depend on the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const once = text(value);
        expect(text(JSON.parse(once))).toBe(once);
        expect(JSON.parse(once)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.integer()), (members) => {
        expect(text(Object.fromEntries(Object.entries(members).toReversed()))).toBe(text(members));
      }),
    );
  });
});
