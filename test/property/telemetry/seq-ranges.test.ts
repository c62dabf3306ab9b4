import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeqRanges } from '#hub/telemetry/seq-ranges.js';

describe('SeqRanges', () => {
  it('is a set, over writing and reading too', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 })), fc.nat(), (numbers, cut) => {
        const model = new Set<number>();
        let ranges = SeqRanges.parse('');
        for (const [at, seq] of numbers.entries()) {
          if (at === cut % (numbers.length + 1)) ranges = SeqRanges.parse(ranges.toString());
          expect(ranges.add(seq)).toBe(!model.has(seq));
          model.add(seq);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('has one text for one set, whatever order it was filled in', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 })), (numbers) => {
        const fill = (list: readonly number[]): string => {
          const ranges = SeqRanges.parse('');
          for (const seq of list) ranges.add(seq);
          return ranges.toString();
        };
        expect(fill(numbers)).toBe(fill([...numbers].sort((a, b) => b - a)));
      }),
    );
  });

  it('keeps what came in order as one range', () => {
    const ranges = SeqRanges.parse('');
    for (let seq = 501; seq <= 520; seq += 1) ranges.add(seq);
    ranges.add(522);
    expect(ranges.toString()).toBe('501-520,522');
  });
});
