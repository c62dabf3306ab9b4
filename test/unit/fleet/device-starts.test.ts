import { describe, expect, it } from 'vitest';
import {
  type Birth,
  type DeviceStarts,
  hearBirth,
  isRefused,
  noteRefused,
  settleCopies,
  type StartVerdict,
} from '#hub/fleet/decide/device-starts.js';

const birth = (bootId: string, rest: Partial<Birth> = {}): Birth => ({
  bootId,
  boot: 1,
  connection: 1,
  host: `machine of ${bootId}`,
  ...rest,
});

/** What each birth means, one after the other. */
function hear(...births: readonly Birth[]): { verdicts: StartVerdict[]; starts: DeviceStarts | undefined } {
  const verdicts: StartVerdict[] = [];
  let starts: DeviceStarts | undefined;
  births.forEach((each, at) => {
    const heard = hearBirth(starts, each, at);
    starts = heard.starts;
    verdicts.push(heard.verdict);
  });
  return { verdicts, starts };
}

describe('starts of a device as its births tell of them', () => {
  it('knows a start that reconnects, and takes each later one for the same device', () => {
    const { verdicts } = hear(
      birth('a', { boot: 4 }),
      birth('a', { boot: 4, connection: 2 }),
      birth('b', { boot: 5, afterBootId: 'a' }),
      birth('c', { boot: 7, afterBootId: 'not heard' }),
    );
    expect(verdicts).toEqual(['started', 'known', 'started', 'started']);
  });

  it('sees that a device was put back to an older image, and takes its next start as any other', () => {
    const { verdicts } = hear(birth('a', { boot: 50 }), birth('b', { boot: 31 }), birth('c', { boot: 32, afterBootId: 'b' }));
    expect(verdicts).toEqual(['started', 'restored', 'started']);
  });

  it('tells two copies apart once one comes back, keeps the one that was there first, and refuses the other under each of its starts', () => {
    const { verdicts, starts } = hear(
      birth('a', { boot: 2, afterBootId: 'x' }),
      birth('b', { boot: 2, afterBootId: 'x' }),
      birth('a', { boot: 2, connection: 2 }),
      birth('b', { boot: 2, connection: 2 }),
      birth('b2', { boot: 3, afterBootId: 'b' }),
      birth('a2', { boot: 3, afterBootId: 'a' }),
      birth('b3', { boot: 4, afterBootId: 'b2' }),
    );
    expect(verdicts).toEqual(['started', 'restored', 'copied', 'refused', 'refused', 'started', 'refused']);
    expect(starts?.copies).toMatchObject({ kept: { bootId: 'a2' }, refused: [{ bootId: 'b3', host: 'machine of b3' }] });
    expect(isRefused(starts, { bootId: 'b4', afterBootId: 'b3' })).toBe(true);
    expect(isRefused(starts, { bootId: 'a3', afterBootId: 'a2' })).toBe(false);
  });

  it('tells three copies apart', () => {
    const { verdicts, starts } = hear(
      birth('a'),
      birth('b'),
      birth('a', { connection: 2 }),
      birth('c'),
      birth('a', { connection: 3 }),
      birth('c', { connection: 2 }),
      birth('b', { connection: 2 }),
    );
    expect(verdicts).toEqual(['started', 'restored', 'copied', 'restored', 'copied', 'refused', 'refused']);
    expect(starts?.copies?.refused.map(({ bootId }) => bootId).toSorted()).toEqual(['b', 'c']);
  });

  it('does not take a birth that arrives late, or twice, for a copy', () => {
    const { verdicts, starts } = hear(
      birth('b', { boot: 2, afterBootId: 'a' }),
      birth('c', { boot: 3, afterBootId: 'b' }),
      birth('b', { boot: 2 }),
    );
    expect(verdicts).toEqual(['started', 'started', 'late']);
    const kept = hear(birth('b', { boot: 2, afterBootId: 'a' })).starts;
    expect([hearBirth(kept, birth('a'), 9, true).verdict, starts?.copies]).toEqual(['late', undefined]);
  });

  it('tells a live predecessor from a late one also where its earlier starts were forgotten', () => {
    const { verdicts, starts } = hear(
      birth('b', { boot: 2, afterBootId: 'a' }),
      birth('a', { connection: 2 }),
      birth('b', { boot: 2, connection: 2 }),
    );
    expect(verdicts).toEqual(['started', 'copied', 'refused']);
    expect(starts?.copies).toMatchObject({ kept: { bootId: 'a' }, refused: [{ bootId: 'b' }] });
  });

  it('knows a copy again whose start was turned away before its birth, also one whose disk forgets it', () => {
    const { starts } = hear(birth('a'), birth('b'), birth('a', { connection: 2 }));
    if (starts === undefined) throw new Error('nothing was heard');
    const noted = Array.from({ length: 40 }, (_, at) => `b${at}`).reduce(
      (known, bootId) => noteRefused(known, { bootId, afterBootId: 'b', host: 'pi-b' }, 9) ?? known,
      starts,
    );
    expect(noteRefused(noted, { bootId: 'b39', afterBootId: 'b' }, 10)).toBeUndefined();
    expect(noteRefused(noted, { bootId: 'a2', afterBootId: 'a' }, 10)).toBeUndefined();
    expect(isRefused(noted, { bootId: 'c', afterBootId: 'b39' })).toBe(true);
    expect(isRefused(noted, { bootId: 'c', afterBootId: 'b' })).toBe(true);
    expect(noted.copies?.refused).toMatchObject([{ bootId: 'b39', host: 'pi-b' }]);
  });

  it('keeps the one it keeps where a start of the copy that nobody heard of held its place meanwhile', () => {
    const { verdicts, starts } = hear(
      birth('a'),
      birth('b'),
      birth('a', { connection: 2 }),
      birth('b7', { boot: 7, afterBootId: 'b6' }),
      birth('a2', { boot: 2, afterBootId: 'a' }),
      birth('b7', { boot: 7, afterBootId: 'b6', connection: 2 }),
    );
    expect(verdicts).toEqual(['started', 'restored', 'copied', 'started', 'copied', 'refused']);
    expect(starts?.copies?.kept.bootId).toBe('a2');
  });

  it('keeps the one it keeps whoever else comes back', () => {
    const { verdicts, starts } = hear(
      birth('a'),
      birth('b'),
      birth('a', { connection: 2 }),
      birth('b7', { boot: 7, afterBootId: 'b6' }),
      birth('c5', { boot: 8, afterBootId: 'c4' }),
      birth('a2', { boot: 2, afterBootId: 'a' }),
      birth('b7', { boot: 7, afterBootId: 'b6', connection: 2 }),
      birth('a2', { boot: 2, afterBootId: 'a', connection: 2 }),
    );
    expect(verdicts.slice(3)).toEqual(['started', 'started', 'copied', 'refused', 'known']);
    expect(starts?.copies).toMatchObject({ kept: { bootId: 'a2' }, refused: [{ bootId: 'b7' }, { bootId: 'c5' }, { bootId: 'b' }] });
  });

  it('is settled by whoever comes next, or in favour of the other copy', () => {
    const { starts } = hear(birth('a'), birth('b'), birth('a', { connection: 2 }));
    if (starts === undefined) throw new Error('nothing was heard');
    const open = settleCopies(starts, undefined);
    expect(open.copies).toBeUndefined();
    expect(hearBirth(open, birth('b', { connection: 2 }), 9).verdict).toBe('restored');
    const other = settleCopies(starts, 'b');
    expect(hearBirth(other, birth('a', { connection: 3 }), 9).verdict).toBe('refused');
    expect(hearBirth(other, birth('b', { connection: 2 }), 9).verdict).not.toBe('refused');
  });
});
