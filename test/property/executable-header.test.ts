import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readExecutableHeader } from '#shared/bundle/executable-header.js';

const MAGICS = [
  [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0],
  [0x7f, 0x45, 0x4c, 0x46, 1, 2, 1, 9],
  [0xcf, 0xfa, 0xed, 0xfe],
  [0xca, 0xfe, 0xba, 0xbe],
  [0x4d, 0x5a],
] as const;

const beginning = (magics: readonly (readonly number[])[], minLength: number): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(fc.constantFrom(...magics), fc.uint8Array({ minLength, maxLength: 600 }))
    .map(([magic, rest]) => Uint8Array.from([...magic, ...rest]));

/** Bytes of any length, many of them beginning as executables do. */
const bytes = beginning([...MAGICS, []], 0);
/** A PE header may lie anywhere; ELF and Mach-O say it all in 64 bytes. */
const beginnings = beginning(
  MAGICS.filter(([first]) => first !== 0x4d),
  64,
);

describe('the header of an executable', () => {
  test('is told of any bytes, without an error', () => {
    fc.assert(
      fc.property(bytes, (file) => {
        const header = readExecutableHeader(file);
        expect(['executable', 'unsupported', 'unknown']).toContain(header.kind);
        expect('why' in header ? header.why : header.arch).not.toBe('');
      }),
      { numRuns: 2_000 },
    );
  });

  test('depends on nothing but the first bytes: what follows them changes nothing', () => {
    fc.assert(
      fc.property(beginnings, fc.uint8Array({ maxLength: 64 }), (file, more) => {
        expect(readExecutableHeader(Uint8Array.from([...file, ...more]))).toEqual(readExecutableHeader(file));
      }),
    );
  });

  test('at any place in a larger buffer', () => {
    fc.assert(
      fc.property(bytes, fc.nat({ max: 32 }), (file, offset) => {
        const larger = new Uint8Array(offset + file.length);
        larger.set(file, offset);
        expect(readExecutableHeader(larger.subarray(offset))).toEqual(readExecutableHeader(file));
      }),
    );
  });
});
