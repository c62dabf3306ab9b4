import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlobSchedule } from '#hub/fleet/blob-schedule.js';
import { emptyBitmap, setBit } from '#shared/bundle/bitmap.js';
import { type Digest, digestSchema } from '#shared/bundle/names.js';

const PIECES = 20;
const digest = (name: number): Digest => digestSchema.parse(name.toString(16).padStart(64, '0'));

type Act =
  | { readonly kind: 'request'; readonly blob: number; readonly indices: readonly number[] }
  | { readonly kind: 'begin'; readonly blob: number }
  | { readonly kind: 'next' };

const acts = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('request' as const),
      blob: fc.nat(2),
      indices: fc.uniqueArray(fc.nat(PIECES - 1), { maxLength: PIECES }),
    }),
    fc.record({ kind: fc.constant('begin' as const), blob: fc.nat(2) }),
    fc.constant<Act>({ kind: 'next' }),
  ),
  { maxLength: 60 },
);

function bitmapOf(indices: readonly number[]): Uint8Array {
  const bitmap = emptyBitmap(PIECES);
  for (const index of indices) setBit(bitmap, index);
  return bitmap;
}

describe('BlobSchedule', () => {
  it('hands out every piece at least once after each request, and none twice without a newer request', () => {
    fc.assert(
      fc.property(acts, (list: readonly Act[]) => {
        const schedule = new BlobSchedule({ maxBlobs: 8 });
        /** Pieces asked for and not handed out since, by the plain definition. */
        const owed = new Set<string>();
        /** Blobs whose requests may go out; they gather again once all of it did. */
        const begun = new Set<Digest>();
        const take = (): boolean => {
          const piece = schedule.next();
          if (piece === undefined) return false;
          expect(begun.has(piece.digest)).toBe(true);
          expect(owed.delete(`${piece.digest}/${piece.index}`)).toBe(true);
          if (![...owed].some((key) => key.startsWith(piece.digest))) begun.delete(piece.digest);
          return true;
        };
        for (const act of list) {
          if (act.kind === 'next') take();
          else if (act.kind === 'begin') {
            if (schedule.isGathering(digest(act.blob))) begun.add(digest(act.blob));
            schedule.begin(digest(act.blob));
          } else {
            schedule.request(digest(act.blob), PIECES, bitmapOf(act.indices));
            for (const index of act.indices) owed.add(`${digest(act.blob)}/${index}`);
          }
          expect(schedule.waiting).toBe(owed.size);
        }
        for (const blob of [0, 1, 2].map(digest)) {
          begun.add(blob);
          schedule.begin(blob);
        }
        while (take());
        expect(owed.size).toBe(0);
      }),
    );
  });

  it('lets blobs take turns', () => {
    const schedule = new BlobSchedule({ maxBlobs: 8 });
    for (const blob of [0, 1, 2].map(digest)) {
      schedule.request(blob, PIECES, bitmapOf([0, 1, 2]));
      schedule.begin(blob);
    }
    const order = Array.from({ length: 9 }, () => schedule.next()?.digest);
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2].map(digest));
  });

  it('costs late-comers to a running answer one more round together, not one each', () => {
    const schedule = new BlobSchedule({ maxBlobs: 8 });
    const all = bitmapOf(Array.from({ length: PIECES }, (_, index) => index));
    let sent = 0;
    for (let late = 0; late < 10; late += 1) {
      schedule.request(digest(0), PIECES, all);
      schedule.begin(digest(0));
      schedule.next();
      sent += 1;
    }
    while (schedule.next() !== undefined) sent += 1;
    expect(sent).toBeLessThan(2 * PIECES);
  });

  it('takes no more blobs than its bound', () => {
    const schedule = new BlobSchedule({ maxBlobs: 1 });
    expect(schedule.request(digest(0), PIECES, bitmapOf([1]))).toBe('accepted');
    expect(schedule.request(digest(1), PIECES, bitmapOf([1]))).toBe('full');
  });
});
