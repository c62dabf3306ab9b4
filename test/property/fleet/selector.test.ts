import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSelector } from '#hub/fleet/decide/selector.js';
import { hasCode } from '#shared/kernel/errors.js';

const key = fc.constantFrom('a', 'b', 'in', 'notin', 'example.org/c');
const value = fc.constantFrom('x', 'y', 'z', 'in', '');
type Labels = Readonly<Record<string, string>>;
interface Piece {
  readonly text: string;
  readonly holds: (labels: Labels) => boolean;
}

const space = fc.constantFrom('', ' ', '  ');
const piece: fc.Arbitrary<Piece> = fc.oneof(
  key.map((k) => ({ text: k, holds: (labels: Labels) => k in labels })),
  fc.tuple(space, key).map(([s, k]) => ({ text: `!${s}${k}`, holds: (labels: Labels) => !(k in labels) })),
  fc.tuple(key, space, fc.constantFrom('=', '=='), space, value).map(([k, s, op, t, v]) => ({
    text: `${k}${s}${op}${t}${v}`,
    holds: (labels: Labels) => labels[k] === v,
  })),
  fc.tuple(key, space, value).map(([k, s, v]) => ({ text: `${k}${s}!=${v}`, holds: (labels: Labels) => labels[k] !== v })),
  fc.tuple(key, fc.array(value, { minLength: 1, maxLength: 4 })).map(([k, vs]) => ({
    text: `${k} in (${vs.join(', ')})`,
    holds: (labels: Labels) => vs.some((v) => labels[k] === v),
  })),
  fc.tuple(key, fc.array(value, { minLength: 1, maxLength: 4 })).map(([k, vs]) => ({
    text: `${k} notin(${vs.join(',')})`,
    holds: (labels: Labels) => vs.every((v) => labels[k] !== v),
  })),
);

describe('parseSelector', () => {
  it('selects as a naive evaluation of the same conditions', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), fc.dictionary(key, value, { noNullPrototype: true }), (pieces, labels) => {
        const selector = parseSelector(pieces.map((p) => p.text).join(' , '));
        expect(selector.matches(labels)).toBe(pieces.every((p) => p.holds(labels)));
        const again = parseSelector(selector.toString());
        expect(again.requirements).toEqual(selector.requirements);
      }),
      { numRuns: 1000 },
    );
  });

  it('reads any text or says where it stops fitting', () => {
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom('a', '=', '!', '(', ')', ',', ' ', 'in', 'notin', '==')).map((p) => p.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        const position = positionRefused(input);
        expect(position >= 0 && position <= input.length).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

/** Where the selector is refused; 0 when it is read. */
function positionRefused(input: string): number {
  try {
    parseSelector(input);
    return 0;
  } catch (thrown) {
    if (!hasCode(thrown, 'SELECTOR_INVALID')) throw thrown;
    return Number(thrown.details?.['position']);
  }
}
