import { describe, expect, it } from 'vitest';
import { type LaunchFacts, planLaunch, slotsInQuestion } from '#agent/update/decide/launch-plan.js';
import { isLaterRelease, type Slots } from '#agent/update/slots.js';
import { DIGESTS, release, slots, trial, watched } from './slots-kit.js';

const right = { a: { kind: 'file', digest: DIGESTS.a }, b: { kind: 'file', digest: DIGESTS.b } } as const;
const wrong = { kind: 'file', digest: DIGESTS.other } as const;
const gone = { kind: 'unreadable', message: 'ENOENT' } as const;
const plan = (facts: Partial<LaunchFacts>): ReturnType<typeof planLaunch> =>
  planLaunch({ slots: undefined, content: right, packaged: '0.1.0', schema: 1, ...facts });
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

  it('starts a good release that does not prove itself, else the packaged executable, without writing anything', () => {
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
    expect(write).toMatchObject({ trying: null, refused: { version: 9, code: 'UPDATE_EXITED' }, good: { slot: 'a' } });
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

describe('the launcher, of a good release that is watched,', () => {
  const verdict = { version: 9, code: 'UPDATE_CRASH_LOOP', attempt: 2 };
  const atBound = slots({ good: watched('b', 5) });
  const other = { boots: 5, maxBoots: 5, attempt: 2, schema: 2 };

  it('counts each start before it, up to the last', () => {
    for (const boots of [0, 4]) {
      const { write, starts, notes } = plan({ slots: slots({ good: watched('b', boots) }) });
      expect(write?.good).toEqual(watched('b', boots + 1));
      expect(starts).toEqual([{ kind: 'good', slot: 'b' }, { kind: 'packaged' }]);
      expect(notes).toEqual([]);
    }
  });

  it('leaves it for the packaged executable after that', () => {
    const { write, starts, notes } = plan({ slots: atBound });
    expect(write).toMatchObject({ good: null, before: null, trying: null, refused: verdict });
    expect(starts).toEqual([{ kind: 'packaged' }]);
    expect(notes).toEqual([]);
  });

  it('leaves it for the release before it, whose start is counted', () => {
    const { write, starts } = plan({ slots: { ...atBound, before: watched('a', 1) } });
    expect(write).toMatchObject({ good: watched('a', 2), before: null, refused: verdict });
    expect(starts).toEqual([{ kind: 'good', slot: 'a' }, { kind: 'packaged' }]);
  });

  it.each([
    ['it is not later than the package', { before: watched('a', 0, { release: '0.1.0' }) }],
    ['it does not prove itself', { before: release('a') }],
    ['it knows another schema', { before: watched('a', 0, { watch: { ...other, boots: 0 } }) }],
    ['it had all its starts', { before: watched('a', 5) }],
    ['it lies in the slot of the good one', { before: watched('b', 0) }],
    ['its file is damaged', { before: watched('a', 0), content: { ...right, a: wrong } }],
    ['its file is gone', { before: watched('a', 0), content: { b: right.b } }],
  ])('passes the release before it over when %s', (_what, { before, ...facts }: Partial<LaunchFacts> & Pick<Slots, 'before'>) => {
    const { write, starts } = plan({ ...facts, slots: { ...atBound, before } });
    expect(write).toMatchObject({ good: null, before: null, refused: verdict });
    expect(starts).toEqual([{ kind: 'packaged' }]);
  });

  it('goes on with it where nothing else knows its state, writes no more, and notes it', () => {
    for (const before of [null, watched('a', 0)]) {
      const { write, starts, notes } = plan({ slots: slots({ good: watched('b', 5, { watch: other }), before }) });
      expect(write).toBeUndefined();
      expect(starts).toEqual([{ kind: 'good', slot: 'b' }, { kind: 'packaged' }]);
      expect(notes.map(({ code }) => code)).toEqual(['UPDATE_CRASH_LOOP']);
    }
  });

  it('keeps a verdict that no agent has taken yet', () => {
    const earlier = { version: release('a').version, manifest: DIGESTS.manifest, attempt: 0, code: 'UPDATE_EXITED', message: '' };
    expect(plan({ slots: { ...atBound, refused: earlier } }).write?.refused).toMatchObject({ ...verdict, earlier });
  });

  it('does not count it while another is on trial, and counts it again when that is given up', () => {
    const good = watched('a', 1);
    expect(plan({ slots: slots({ good, trying: trial('b', { boots: 2 }) }) }).write).toMatchObject({ good, trying: { boots: 3 } });
    const { write, starts } = plan({ slots: slots({ good, trying: trial('b', { boots: 3 }) }) });
    expect(write).toMatchObject({ good: watched('a', 2), trying: null, refused: { code: 'UPDATE_EXITED' } });
    expect(starts).toEqual([{ kind: 'good', slot: 'a' }, { kind: 'packaged' }]);
    const both = plan({ slots: slots({ good: watched('a', 5), trying: trial('b', { boots: 3 }) }) });
    expect(both.write?.refused).toMatchObject({ version: 4, code: 'UPDATE_CRASH_LOOP', earlier: { version: 9, code: 'UPDATE_EXITED' } });
    expect(both.starts).toEqual([{ kind: 'packaged' }]);
  });

  it('has a later package end it all', () => {
    const state = slots({ good: watched('b', 5), before: watched('a', 0) });
    expect(plan({ slots: state, packaged: '1.0.0' }).write).toMatchObject({ good: null, before: null, refused: null });
  });

  it('looks into the release before it only when that may run', () => {
    expect([...slotsInQuestion(slots({ good: watched('b', 4), before: watched('a', 0) }))]).toEqual(['b']);
    expect([...slotsInQuestion({ ...atBound, before: watched('a', 0) })]).toEqual(['b', 'a']);
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
