import { describe, expect, it } from 'vitest';
import type { GateFigures } from '#hub/rollouts/figures.js';
import type { Gate } from '#hub/rollouts/gate.js';
import { gateSchema } from '#hub/rollouts/gate-document.js';
import { evaluateGate } from '#hub/rollouts/decide/gates/evaluate.js';

const LEVELS = { alarm: 0.001, miss: 0.05 };

function gate(value: Record<string, unknown>): Gate {
  return gateSchema.parse(value);
}

function compared(canary: number, control: number, changes: Partial<Extract<GateFigures, { kind: 'comparison' }>> = {}): GateFigures {
  const strata = Array.from({ length: 5 }, () => ({
    canaryEvents: canary,
    canaryExposure: 1000,
    controlEvents: control,
    controlExposure: 10_000,
  }));
  return {
    gate: 'x',
    kind: 'comparison',
    tolerated: { strata },
    ruledOut: { strata },
    dispersion: 1,
    canaryDevices: 10,
    controlDevices: 90,
    events: 5 * canary,
    exposure: 5000,
    ...changes,
  };
}

const outcome = (g: Gate, figures: GateFigures | undefined): string => evaluateGate(g, figures, LEVELS).outcome;

describe('comparing gates', () => {
  const errors = gate({ gate: 'errors' });

  it('fail, pass or wait by the evidence', () => {
    expect(outcome(errors, compared(30, 100))).toBe('fail');
    expect(outcome(errors, compared(10, 100))).toBe('pass');
    expect(outcome(errors, compared(15, 100))).toBe('insufficient');
    expect(outcome(errors, compared(1, 5))).toBe('insufficient');
  });

  it('say what they saw', () => {
    expect(evaluateGate(errors, compared(30, 100), LEVELS).reason).toMatch(
      /^failed predictions: 3 times the control's \(.* to .*\), above the 1.25 tolerated$/,
    );
  });

  it('do not fail for one broken device', () => {
    const figures = compared(30, 100);
    const withoutWorst = Array.from({ length: 5 }, () => ({
      canaryEvents: 10,
      canaryExposure: 900,
      controlEvents: 100,
      controlExposure: 10_000,
    }));
    if (figures.kind !== 'comparison') throw new Error('unreachable');
    expect(outcome(errors, { ...figures, tolerated: { ...figures.tolerated, withoutWorst } })).toBe('insufficient');
  });

  it('wait for more when the devices vary more', () => {
    expect(outcome(errors, compared(30, 100, { dispersion: 20 }))).toBe('insufficient');
  });

  it('pass where hardly anything ever fails', () => {
    expect(outcome(errors, compared(0, 0, { exposure: 50_000 }))).toBe('pass');
    expect(outcome(gate({ gate: 'errors', negligible: 0 }), compared(0, 0, { exposure: 50_000 }))).toBe('insufficient');
  });

  it('compare stretched quantiles', () => {
    const latency = gate({ gate: 'latency' });
    const strata = (canaryEvents: number) =>
      Array.from({ length: 5 }, () => ({ canaryEvents, canaryExposure: 1000, controlEvents: 500, controlExposure: 10_000 }));
    expect(outcome(latency, compared(0, 0, { tolerated: { strata: strata(30) }, ruledOut: { strata: strata(10) } }))).toBe('pass');
    expect(outcome(latency, compared(0, 0, { tolerated: { strata: strata(120) }, ruledOut: { strata: strata(60) }, events: 600 }))).toBe(
      'fail',
    );
  });
});

describe('gates with fixed limits', () => {
  it('judge a rate', () => {
    const limit = gate({ gate: 'limit', of: 'errors', atMost: 0.02, ruleOut: 0.04 });
    const rate = (events: number, exposure = 5000): GateFigures => ({ gate: 'x', kind: 'rate', events, exposure, devices: 10 });
    expect([outcome(limit, rate(200)), outcome(limit, rate(60)), outcome(limit, rate(6, 200))]).toEqual(['fail', 'pass', 'insufficient']);
    expect(outcome(gate({ gate: 'golden' }), rate(0))).toBe('pass');
  });

  it('judge installs when every device is decided', () => {
    const install = gate({ gate: 'install' });
    const of = (installed: number, failed: number, pending: number): GateFigures => ({
      gate: 'x',
      kind: 'install',
      installed,
      failed,
      silent: 0,
      pending,
      tookBack: 0,
    });
    expect(outcome(install, of(20, 0, 0))).toBe('pass');
    expect(outcome(install, of(20, 0, 3))).toBe('insufficient');
    // Nobody falls into the wave: nothing to fail at. Nobody was heard of: that is not the same.
    expect(outcome(install, of(0, 0, 0))).toBe('pass');
    expect(outcome(install, { ...of(0, 0, 0), silent: 3 } as GateFigures)).toBe('insufficient');
    expect(outcome(install, of(9, 1, 0))).toBe('insufficient');
    expect(outcome(install, of(5, 10, 5))).toBe('fail');
    expect(evaluateGate(install, of(0, 0, 2), LEVELS).reason).toBe('no device has decided, 2 undecided, 0 silent');
  });

  it('count devices that took the version back by themselves at once', () => {
    const install = gate({ gate: 'install' });
    const of = (devices: number, failed: number, tookBack: number): GateFigures => ({
      gate: 'x',
      kind: 'install',
      installed: devices - failed,
      failed,
      silent: 0,
      pending: 0,
      tookBack,
    });
    // The gate's level here is 1 in 1,000: one of one is enough, of many it takes more.
    expect(outcome(install, of(1, 1, 1))).toBe('fail');
    expect(outcome(install, of(1, 1, 0))).toBe('insufficient');
    expect([outcome(install, of(20, 1, 1)), outcome(install, of(20, 2, 2))]).toEqual(['pass', 'fail']);
    expect([outcome(install, of(10_000, 6, 6)), outcome(install, of(10_000, 20, 20))]).toEqual(['pass', 'fail']);
    // Undecided devices count: a version is not stopped sooner because the others are slow.
    expect(outcome(install, { ...of(1, 1, 1), pending: 99 } as GateFigures)).toBe('insufficient');
  });

  it('judge a quantile of values, from above and from below', () => {
    const latency = gate({ gate: 'limit', of: 'latency', quantile: 0.95, atMost: 50 });
    const level = (events: number, beyond: number, exposure = 5_000, dispersion = 1): GateFigures => ({
      gate: 'x',
      kind: 'level',
      events,
      beyond,
      exposure,
      dispersion,
      devices: 10,
    });
    expect([outcome(latency, level(500, 400)), outcome(latency, level(200, 100)), outcome(latency, level(20, 10, 200))]).toEqual([
      'fail',
      'pass',
      'insufficient',
    ]);
    // Devices that differ much tell less.
    expect(outcome(latency, level(500, 400, 5_000, 30))).toBe('insufficient');
    const rate = gate({ gate: 'limit', of: 'metric', name: 'fps', atLeast: 20 });
    expect([outcome(rate, level(500, 400)), outcome(rate, level(200, 100))]).toEqual(['fail', 'pass']);
  });

  it('judge the distance of outputs', () => {
    const drift = gate({ gate: 'drift' });
    const of = (canary: number[], control: number[]): GateFigures => ({
      gate: 'x',
      kind: 'distance',
      outputs: [{ name: 'y', canary, control, dispersion: 1 }],
    });
    expect(outcome(drift, of([5000, 5000], [5000, 5000]))).toBe('pass');
    expect(outcome(drift, of([2000, 8000], [5000, 5000]))).toBe('fail');
    expect(outcome(drift, of([5, 5], [5, 5]))).toBe('insufficient');
    expect(outcome(drift, of([0, 0], [5, 5]))).toBe('insufficient');
  });

  it('judge how fast an error budget burns', () => {
    const burn = gate({ gate: 'burn', objective: 0.999 });
    const of = (long: number, short: number): GateFigures => ({
      gate: 'x',
      kind: 'burn',
      windows: [
        { long: { events: long, exposure: 10_000 }, short: { events: short, exposure: 1000 } },
        { long: { events: 8 * long, exposure: 60_000 }, short: { events: 6 * short, exposure: 6000 } },
      ],
    });
    expect([outcome(burn, of(200, 20)), outcome(burn, of(200, 0)), outcome(burn, of(10, 1))]).toEqual(['fail', 'pass', 'pass']);
    // Not fast enough for the short pair (10 of 14.4 times), but for the long one (13 of 6 times).
    expect(outcome(burn, of(100, 10))).toBe('fail');
    const few = { events: 1, exposure: 10 };
    const quiet: GateFigures = {
      gate: 'x',
      kind: 'burn',
      windows: [
        { long: few, short: few },
        { long: few, short: few },
      ],
    };
    expect(outcome(burn, quiet)).toBe('insufficient');
  });
});

describe('a gate that cannot be computed', () => {
  it('is an error, never a pass', () => {
    const errors = gate({ gate: 'errors' });
    expect(outcome(errors, undefined)).toBe('error');
    expect(outcome(errors, { gate: 'x', kind: 'failed', why: 'no database' })).toBe('error');
    expect(outcome(errors, { gate: 'x', kind: 'rate', events: 0, exposure: 10, devices: 1 })).toBe('error');
    expect(outcome(errors, compared(Number.NaN, 10))).toBe('error');
    expect(outcome(errors, compared(-1, 10))).toBe('error');
    expect(outcome(errors, compared(1, 10, { dispersion: Number.NaN }))).toBe('error');
  });

  it('waits when nothing was reported', () => {
    expect(outcome(gate({ gate: 'memory' }), { gate: 'memory', kind: 'missing', why: 'no device reported memory' })).toBe('insufficient');
  });
});
