import { describe, expect, it } from 'vitest';
import { type LaunchFacts, planLaunch } from '#agent/update/launch-plan.js';
import { isLaterRelease } from '#agent/update/slots.js';
import { DIGESTS, release, slots, trial } from './slots-kit.js';

const right = { a: { kind: 'file', digest: DIGESTS.a }, b: { kind: 'file', digest: DIGESTS.b } } as const;
const wrong = { kind: 'file', digest: DIGESTS.other } as const;
const gone = { kind: 'unreadable', message: 'ENOENT' } as const;
const plan = (facts: Partial<LaunchFacts>): ReturnType<typeof planLaunch> =>
  planLaunch({ slots: undefined, content: right, packaged: '0.1.0', ...facts });
const kinds = (facts: Partial<LaunchFacts>): string[] =>
  plan(facts).starts.map((start) => ('slot' in start ? `${start.kind} ${start.slot}` : start.kind));

describe('the launcher', () => {
  it('starts the packaged executable before any update, and says nothing', () => {
    expect(plan({})).toEqual({ starts: [{ kind: 'packaged' }], notes: [] });
    expect(plan({ slots: slots() })).toEqual({ starts: [{ kind: 'packaged' }], notes: [] });
  });

  it('starts the packaged executable when the slot file cannot be used, and notes it', () => {
    const note = { code: 'UPDATE_SLOTS_INVALID', message: 'not JSON' };
    expect(plan({ unreadable: note })).toEqual({ starts: [{ kind: 'packaged' }], notes: [note] });
  });

  it('starts the good release, else the packaged executable, without writing anything', () => {
    expect(kinds({ slots: slots({ good: release('a') }) })).toEqual(['good a', 'packaged']);
    expect(plan({ slots: slots({ good: release('a') }) }).write).toBeUndefined();
  });

  it.each([
    ['of another digest', { a: wrong }],
    ['missing', {}],
    ['unreadable', { a: gone }],
  ])('does not start a good release whose file is %s', (_what, content) => {
    const { starts, notes } = plan({ slots: slots({ good: release('a') }), content });
    expect(starts).toEqual([{ kind: 'packaged' }]);
    expect(notes.map(({ code }) => code)).toEqual(['UPDATE_FILE_DAMAGED']);
  });

  it('counts a start of the release on trial before it, with the good one behind it', () => {
    const { write, starts } = plan({ slots: slots({ good: release('a'), trying: trial('b', { boots: 1 }) }) });
    expect(write?.trying?.boots).toBe(2);
    expect(starts).toEqual([{ kind: 'trial', slot: 'b', aliveSeconds: 60 }, { kind: 'good', slot: 'a' }, { kind: 'packaged' }]);
  });

  it('gives the release on trial up after its starts, and never starts it then', () => {
    const { write, starts } = plan({ slots: slots({ good: release('a'), trying: trial('b', { boots: 3 }) }) });
    expect(write).toMatchObject({ trying: null, refused: { version: 9, code: 'UPDATE_ENDED' }, good: { slot: 'a' } });
    expect(starts).toEqual([{ kind: 'good', slot: 'a' }, { kind: 'packaged' }]);
  });

  it('gives a release on trial up whose file is damaged', () => {
    const { write, starts } = plan({ slots: slots({ trying: trial('b') }), content: { b: wrong } });
    expect(write).toMatchObject({ trying: null, refused: { code: 'UPDATE_FILE_DAMAGED' } });
    expect(starts).toEqual([{ kind: 'packaged' }]);
  });

  it('follows a package that was installed later and is a later release', () => {
    const state = slots({ good: release('a', { release: '0.4.0' }) });
    expect(plan({ slots: state, packaged: '0.5.0' })).toMatchObject({
      write: { packaged: '0.5.0', good: null },
      starts: [{ kind: 'packaged' }],
    });
    // Installed again, or an older one: what the hub rolled out stays.
    expect(kinds({ slots: state, packaged: '0.3.0' })).toEqual(['good a', 'packaged']);
    // Later than what the hub rolled out since it was installed: then the hub's word is the newer one.
    expect(kinds({ slots: { ...state, packaged: '0.5.0' }, packaged: '0.5.0' })).toEqual(['good a', 'packaged']);
  });
});

describe('releases', () => {
  it.each([
    ['0.10.0', '0.9.9', true],
    ['1.0.0', '1.0.0', false],
    ['1.0.0', '1.0.0-rc.1', true],
    ['1.0.0-rc.1', '1.0.0', false],
    ['1.0.0-rc.2', '1.0.0-rc.1', true],
    ['nothing', '1.0.0', false],
    ['1.0.0', 'nothing', false],
  ])('%s is later than %s: %s', (a, b, later) => expect(isLaterRelease(a, b)).toBe(later));
});
