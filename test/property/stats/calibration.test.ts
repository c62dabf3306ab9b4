import { describe, expect, it } from 'vitest';
import { pearsonDispersion } from '#shared/stats/dispersion.js';
import { bandRadius, quantileInterval, quantileRatioInterval } from '#shared/stats/quantile-sequence.js';
import { type RateStratum, rateRatioEvidence, rateRatioInterval } from '#shared/stats/rate-ratio.js';
import { rateInterval, rateLimitEvidence } from '#shared/stats/rate-limit.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { SeededRandom } from '../../kit/random.js';

const ALPHA = 0.05;
const NEED = Math.log(1 / ALPHA);

/** Share of `runs` simulations in which `run` says true. */
function share(runs: number, run: (random: SeededRandom) => boolean): number {
  let hits = 0;
  for (let seed = 1; seed <= runs; seed++) if (run(new SeededRandom(seed))) hits += 1;
  return hits / runs;
}

/** Looks after each of `looks` strata; true when the evidence ever reached 1 / ALPHA. The common level swings as a day does. */
function everCrosses(random: SeededRandom, looks: number, ratio: number, read: 'evidenceWorse' | 'evidenceAcceptable'): boolean {
  const strata: RateStratum[] = [];
  for (let t = 0; t < looks; t++) {
    const level = 0.01 * (1 + 0.8 * Math.sin(t / 4));
    strata.push({
      canaryEvents: random.poisson(100 * level * ratio),
      canaryExposure: 100,
      controlEvents: random.poisson(2000 * level),
      controlExposure: 2000,
    });
    if (rateRatioEvidence(strata, { tolerate: 1.25, ruleOut: 2, dispersion: 1 })[read] >= NEED) return true;
  }
  return false;
}

describe('type I error under a look after every stratum', () => {
  it.each([0.5, 1, 1.25])('rate ratio %d against "at most 1.25"', (ratio) => {
    expect(share(400, (random) => everCrosses(random, 40, ratio, 'evidenceWorse'))).toBeLessThanOrEqual(ALPHA);
  });

  it.each([2, 3])('rate ratio %d against "at least 2"', (ratio) => {
    expect(share(400, (random) => everCrosses(random, 40, ratio, 'evidenceAcceptable'))).toBeLessThanOrEqual(ALPHA);
  });

  it('rate ratio of counts that cluster by device, tempered by their dispersion', () => {
    const crossed = share(300, (random) => {
      const devices = Array.from({ length: 120 }, () => 0.01 * random.gamma(2));
      const totals = devices.map(() => 0);
      const strata: RateStratum[] = [];
      for (let t = 0; t < 40; t++) {
        const stratum = { canaryEvents: 0, canaryExposure: 20 * 100, controlEvents: 0, controlExposure: 100 * 100 };
        for (const [i, rate] of devices.entries()) {
          const events = random.poisson(100 * rate);
          totals[i] = (totals[i] ?? 0) + events;
          if (i < 20) stratum.canaryEvents += events;
          else stratum.controlEvents += events;
        }
        strata.push(stratum);
        const dispersion = pearsonDispersion(totals.slice(20).map((events) => ({ events, exposure: (t + 1) * 100 })));
        if (rateRatioEvidence(strata, { tolerate: 1.25, ruleOut: 2, dispersion }).evidenceWorse >= NEED) return true;
      }
      return false;
    });
    expect(crossed).toBeLessThanOrEqual(ALPHA);
  });

  it('interval for the ratio of rates', () => {
    const missed = share(150, (random) => {
      const strata: RateStratum[] = [];
      for (let t = 0; t < 40; t++) {
        strata.push({
          canaryEvents: random.poisson(3),
          canaryExposure: 100,
          controlEvents: random.poisson(20),
          controlExposure: 1000,
        });
        const interval = rateRatioInterval(strata, ALPHA);
        if (interval !== undefined && (interval.lower > 1.5 || interval.upper < 1.5)) return true;
      }
      return false;
    });
    expect(missed).toBeLessThanOrEqual(ALPHA);
  });

  it.each([
    ['Bernoulli', 0.3],
    ['Bernoulli', 0.02],
  ] as const)('%s rate %d against its own limit, and its interval', (_, p) => {
    for (const side of ['evidenceAbove', 'evidenceBelow'] as const) {
      const crossed = share(400, (random) => {
        let events = 0;
        for (let n = 1; n <= 1000; n++) {
          if (random.bernoulli(p)) events += 1;
          if (n % 4 > 0) continue;
          if (rateLimitEvidence({ events, exposure: n }, p)[side] >= NEED) return true;
        }
        return false;
      });
      expect(crossed).toBeLessThanOrEqual(ALPHA);
    }
    const missed = share(100, (random) => {
      let events = 0;
      for (let n = 1; n <= 300; n++) {
        if (random.bernoulli(p)) events += 1;
        if (n % 10 > 0) continue;
        const interval = rateInterval({ events, exposure: n }, ALPHA);
        if (p < interval.lower || p > interval.upper) return true;
      }
      return false;
    });
    expect(missed).toBeLessThanOrEqual(ALPHA);
  });

  it.each([0.5, 0.95])('interval for the %d-quantile and for the ratio of two', (q) => {
    const z = { 0.5: 0, 0.95: 1.6448536 }[q] ?? 0;
    const truth = Math.exp(z);
    const missed = share(200, (random) => {
      const [a, b] = [new QuantileSketch(), new QuantileSketch()];
      for (let n = 1; n <= 600; n++) {
        a.add(Math.exp(random.normal()));
        b.add(Math.exp(random.normal()));
        if (n % 10 > 0) continue;
        const one = quantileInterval(a, q, ALPHA);
        const two = quantileRatioInterval(a, b, q, ALPHA);
        if (one.lower > truth || one.upper < truth || two.lower > 1 || two.upper < 1) return true;
      }
      return false;
    });
    expect(missed).toBeLessThanOrEqual(ALPHA);
  });

  it('band around an empirical distribution', () => {
    const missed = share(100, (random) => {
      const counts = Array.from({ length: 50 }, () => 0);
      for (let n = 1; n <= 1000; n++) {
        const at = Math.floor(random.next() * 50);
        counts[at] = (counts[at] ?? 0) + 1;
        let [below, worst] = [0, 0];
        for (const [i, count] of counts.entries()) {
          below += count / n;
          worst = Math.max(worst, Math.abs(below - (i + 1) / 50));
        }
        if (worst > bandRadius(n, ALPHA)) return true;
      }
      return false;
    });
    expect(missed).toBeLessThanOrEqual(ALPHA);
  });
});

describe('power', () => {
  it('sees a doubled 1 % error rate within 60 strata of 100 predictions, and clears an equal one', () => {
    expect(share(200, (random) => everCrosses(random, 60, 2.5, 'evidenceWorse'))).toBeGreaterThan(0.95);
    expect(share(200, (random) => everCrosses(random, 60, 1, 'evidenceAcceptable'))).toBeGreaterThan(0.95);
  });

  it('sees a fault that begins after a long good time', () => {
    const found = share(100, (random) => {
      const strata: RateStratum[] = [];
      for (let t = 0; t < 80; t++) {
        const canaryEvents = random.poisson(t < 60 ? 5 : 15);
        strata.push({ canaryEvents, canaryExposure: 500, controlEvents: random.poisson(50), controlExposure: 5000 });
        if (t >= 60 && rateRatioEvidence(strata, { tolerate: 1.25, ruleOut: 2, dispersion: 1 }).evidenceWorse >= NEED) return true;
      }
      return false;
    });
    expect(found).toBeGreaterThan(0.95);
  });
});
