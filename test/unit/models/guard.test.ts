import { describe, expect, it } from 'vitest';
import { DEFAULT_GUARD, guardLimits, isTripped, judgeTrial } from '#agent/models/decide/guard.js';
import type { BehaviourFigures } from '#agent/models/ports.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { SeededRandom } from '../../kit/random.js';

const hour = 3_600_000;

function behaved(predictions: number, failed: number, ms: readonly number[] = [], crashes = 0, refused = 0): BehaviourFigures {
  const latency = new QuantileSketch();
  for (const value of ms) latency.add(value);
  return { predictions, failed, refused, crashes, latency };
}
const times = (count: number, ms: number) => Array.from({ length: count }, (_, i) => ms * (1 + (i % 10) / 20));
const judged = (trial: BehaviourFigures, baseline?: BehaviourFigures, limits = DEFAULT_GUARD) =>
  judgeTrial({ trial, baseline, golden: undefined }, limits)?.code;

describe('judgeTrial', () => {
  it.each([
    ['nothing happened yet', behaved(0, 0), behaved(1000, 0), undefined],
    ['too few predictions to say', behaved(10, 10), behaved(1000, 0), undefined],
    ['fails what the old one did not', behaved(50, 25), behaved(1000, 0), 'MODELS_GUARD_ERRORS'],
    ['fails a few per cent, seen often', behaved(2000, 120), behaved(5000, 5), 'MODELS_GUARD_ERRORS'],
    ['fails as often as the old one', behaved(1000, 100), behaved(1000, 100), undefined],
    ['fails less than is negligible', behaved(10_000, 60), behaved(10_000, 0), undefined],
    ['nothing known of the old one, and most fails', behaved(100, 70), undefined, 'MODELS_GUARD_ERRORS'],
    ['nothing known of the old one, and some fail', behaved(100, 15), undefined, undefined],
    ['little known of the old one, and all fails', behaved(60, 60), behaved(10, 0), 'MODELS_GUARD_ERRORS'],
    ['the old one failed half of little', behaved(60, 30), behaved(10, 5), undefined],
    ['three times as slow', behaved(300, 0, times(300, 60)), behaved(300, 0, times(300, 20)), 'MODELS_GUARD_LATENCY'],
    ['a little slower', behaved(300, 0, times(300, 25)), behaved(300, 0, times(300, 20)), undefined],
    ['ten times as slow, and still nothing', behaved(300, 0, times(300, 0.5)), behaved(300, 0, times(300, 0.05)), undefined],
    ['slow, with nothing to compare with', behaved(300, 0, times(300, 60)), behaved(0, 0), undefined],
    ['one worker ended', behaved(5, 0, [], 1), undefined, undefined],
    ['workers end again and again', behaved(5, 0, [], 2), undefined, 'MODELS_GUARD_CRASHES'],
  ])('%s', (_title, trial, baseline, expected) => {
    expect(judged(trial, baseline)).toBe(expected);
  });

  it('does not count what callers did wrong, unless requests that fitted the version before may not fit this one', () => {
    const trial = behaved(20, 0, [], 0, 400);
    const baseline = behaved(1000, 0);
    const narrowed = 'input x FP32 [-1,4] became x FP32 [-1,5]';
    expect(judgeTrial({ trial, baseline, golden: undefined }, DEFAULT_GUARD)).toBeUndefined();
    expect(judgeTrial({ trial, baseline, narrowed, golden: undefined }, DEFAULT_GUARD)).toMatchObject({
      code: 'MODELS_GUARD_ERRORS',
      message: expect.stringMatching(
        /^400 of 420 predictions failed .*; refused requests count, since input x FP32 \[-1,4\] became/,
      ) as string,
    });
    // Callers who did as much wrong before do not make it worse.
    expect(judgeTrial({ trial, baseline: behaved(50, 0, [], 0, 950), narrowed, golden: undefined }, DEFAULT_GUARD)).toBeUndefined();
  });

  it('says on which figures', () => {
    const alarm = judgeTrial({ trial: behaved(50, 25), baseline: behaved(1000, 0), golden: undefined }, DEFAULT_GUARD);
    expect(alarm?.message).toMatch(/^25 of 50 predictions failed \(50 %\), of the version before 0 %; [\d.]+ % is the limit$/);
    expect(alarm?.figures).toMatchObject({ predictions: 50, failed: 25, rate: 0.5, baselinePredictions: 1000 });
  });

  it('holds golden samples that no longer come out right against it at once', () => {
    const golden = { run: 3, wrong: 1, reason: 'output "y" differs' };
    expect(judgeTrial({ trial: behaved(0, 0), baseline: undefined, golden }, DEFAULT_GUARD)?.code).toBe('MODELS_GUARD_GOLDEN');
    expect(judgeTrial({ trial: behaved(0, 0), baseline: undefined, golden }, guardLimits({ golden: false }))).toBeUndefined();
  });

  it('leaves out what the hub turned off and takes its limits', () => {
    const bad = behaved(500, 400, times(500, 90), 7);
    expect(judged(bad, behaved(500, 0, times(500, 10)), guardLimits({ errors: null, latency: null, crashes: null }))).toBeUndefined();
    expect(judged(behaved(500, 100), behaved(500, 50), guardLimits({ errors: { ratio: 10, negligible: 0 } }))).toBeUndefined();
    expect(judged(behaved(5, 0, [], 1), undefined, guardLimits({ crashes: 0 }))).toBe('MODELS_GUARD_CRASHES');
  });

  it('takes hardly ever back what is as good, however often one looks', () => {
    const source = new SeededRandom(7);
    const random = () => source.next();
    let alarms = 0;
    for (let run = 0; run < 400; run++) {
      const rate = 0.02 + 0.1 * random();
      const draw = () => (random() < rate ? 1 : 0);
      let before = 0;
      for (let i = 0; i < 500; i++) before += draw();
      const slow = () => 10 * Math.exp(2 * random());
      const baseline = behaved(500, before, Array.from({ length: 500 }, slow));
      const latency = new QuantileSketch();
      let failed = 0;
      for (let n = 1; n <= 600; n++) {
        failed += draw();
        latency.add(slow());
        if (n % 20 === 0 && judged({ predictions: n, failed, refused: 0, crashes: 0, latency }, baseline) !== undefined) {
          alarms++;
          break;
        }
      }
    }
    // One in ten thousand is promised for each of the two comparisons.
    expect(alarms).toBe(0);
  });
});

describe('isTripped', () => {
  it.each([
    ['never went back', undefined, false],
    ['twice today', [10 * hour, 20 * hour], false],
    ['three times today', [10 * hour, 12 * hour, 20 * hour], true],
    ['the first was yesterday', [-5 * hour, 12 * hour, 20 * hour], false],
    ['the clock was set back since', [30 * hour, 31 * hour, 32 * hour], true],
  ])('%s', (_title, at, expected) => {
    expect(isTripped(at && { times: at }, 20 * hour)).toBe(expected);
  });
});
