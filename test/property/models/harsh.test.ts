import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { play, type Script, script, SOUND } from './harsh-world.js';

/** Another model's version is being loaded whenever one takes the process down. */
const BYSTANDER: Script = {
  natures: { a: [SOUND, SOUND, SOUND, SOUND], b: [SOUND, SOUND, SOUND, SOUND] },
  minimum: 1,
  budgetBytes: 1_000_000,
  happenings: [
    { happening: { kind: 'want', model: 'b', version: 1, attempt: 0, candidate: null }, pause: 400_000 },
    { happening: { kind: 'turn', model: 'a', version: 2, nature: { kind: 'crashes', times: 1_000_000 } }, pause: 0 },
    { happening: { kind: 'kill', writes: 0 }, pause: 0 },
    { happening: { kind: 'restart' }, pause: 70_000 },
  ],
};

describe('a device in a harsh world', () => {
  it('comes to rest, keeps what it must, never falls silent with a good version at hand, and ends with what is wanted', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (history) => {
        expect(await play(history)).toEqual([]);
      }),
      { numRuns: 200, examples: [[BYSTANDER]] },
    );
  }, 120_000);
});
