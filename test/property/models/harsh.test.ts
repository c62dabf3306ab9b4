import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { play, script } from './harsh-world.js';

describe('a device in a harsh world', () => {
  it('comes to rest, keeps what it must, never falls silent with a good version at hand, and ends with what is wanted', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (history) => {
        expect(await play(history)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});
