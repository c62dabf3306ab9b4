import { describe, expect, it } from 'vitest';
import { firstStratumFrom, layoutOf, stratumOf, waveOfStratum } from '#hub/rollouts/decide/evidence/layout.js';
import { hours, minutes } from '#shared/kernel/time.js';

const BUCKET = minutes(5);
const layout = layoutOf(
  [
    { from: 10 * 3_600_000, lasts: hours(32) },
    { from: 13 * 3_600_000, lasts: hours(32) },
  ],
  4,
);

describe('the strata of a rollout', () => {
  it('are so many a wave, and fewer when there are many waves', () => {
    expect(layout.perWave).toBe(32);
    expect(layoutOf(layout.waves, 64).perWave).toBe(3);
  });

  it.each([
    ['before the evidence began', hours(9), 0],
    ['in the stretch in which it began', hours(10) - minutes(3), 0],
    ['an hour on', hours(11), 1],
    ['just before the second wave', hours(13) - BUCKET, 2],
    ['in the stretch in which the second wave began', hours(13) - minutes(3), 32],
    ['an hour into the second wave', hours(14), 33],
    ['long after its deadline', hours(100), 63],
  ])('%s', (_, from, stratum) => {
    expect(stratumOf(layout, from, BUCKET)).toBe(stratum);
    expect(waveOfStratum(layout, stratum)).toBe(stratum < 32 ? 0 : 1);
  });

  it.each([
    ['before everything', hours(9), 0],
    ['when the first wave began', hours(10), 0],
    ['within a stratum', hours(10) + minutes(90), 2],
    ['in the second wave, whatever room the first one has', hours(14), 33],
    ['after the end', hours(100), 64],
  ])('the first one from a time on: %s', (_, at, stratum) => {
    expect(firstStratumFrom(layout, at)).toBe(stratum);
  });
});
