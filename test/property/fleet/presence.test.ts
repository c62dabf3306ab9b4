import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparePresence, type PresenceMark, presenceSupersedes } from '#hub/fleet/decide/presence.js';

const marks: fc.Arbitrary<PresenceMark> = fc.record({
  boot: fc.integer({ min: 1, max: 3 }),
  connection: fc.integer({ min: 1, max: 3 }),
  session: fc.constantFrom('aaaaaaaa', 'bbbbbbbb'),
  state: fc.constantFrom('online' as const, 'offline' as const),
});

/** What is known after messages arrived in this order. */
function settle(messages: readonly PresenceMark[]): PresenceMark | undefined {
  let known: PresenceMark | undefined;
  for (const message of messages) if (presenceSupersedes(known, message)) known = message;
  return known;
}

describe('presence', () => {
  it('of one start ends in the same state in whatever order, and however often, messages arrive', () => {
    const shuffled = fc
      .array(marks, { maxLength: 12 })
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length })));
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        expect(settle(other)).toEqual(settle(list));
      }),
    );
  });

  it('never lets a death end a newer session', () => {
    fc.assert(
      fc.property(marks, marks, (birth, death) => {
        fc.pre(death.boot < birth.boot || (death.boot === birth.boot && death.connection < birth.connection));
        const alive = { ...birth, state: 'online' as const };
        expect(settle([alive, { ...death, state: 'offline' }])).toEqual(alive);
      }),
    );
  });

  it('18 E: takes a session of another start for alive whatever the numbers, and no late death of another start', () => {
    fc.assert(
      fc.property(marks, marks, (known, message) => {
        const other = { ...message, bootId: 'another-start' };
        expect(presenceSupersedes({ ...known, bootId: 'a-start' }, { ...other, state: 'online' })).toBe(true);
        expect(presenceSupersedes({ ...known, bootId: 'a-start' }, { ...other, state: 'offline' })).toBe(false);
      }),
    );
  });

  it('orders totally', () => {
    fc.assert(
      fc.property(marks, marks, (a, b) => {
        expect(Math.sign(comparePresence(a, b))).toBe(-Math.sign(comparePresence(b, a)) + 0);
      }),
    );
  });
});
