import { describe, expect, it } from 'vitest';
import { levelsOf } from '#hub/rollouts/decide/budget.js';
import type { Gate } from '#hub/rollouts/gate.js';
import { DEFAULT_GATES, gateSchema } from '#hub/rollouts/gate-document.js';

const DOCUMENT = { falseAlarms: 0.01, missed: 0.05 };
const gates = DEFAULT_GATES.map((gate) => gateSchema.parse(gate));
const alarmOf = (gate: Gate | undefined, waves: readonly (readonly Gate[])[]): number =>
  gate === undefined ? Number.NaN : levelsOf(gate, DOCUMENT, waves).alarm;

describe('the false-alarm budget', () => {
  it('is divided over the gates, and over the waves of those that begin anew in each', () => {
    const waves = [gates, gates, gates, gates];
    expect(gates.map((gate) => [gate.gate, levelsOf(gate, DOCUMENT, waves).alarm])).toEqual([
      ['install', 0.01 / 4 / 4],
      ['errors', 0.01 / 4],
      ['latency', 0.01 / 4],
      ['crashes', 0.01 / 4],
    ]);
  });

  it('counts a gate that a wave states differently as another test', () => {
    const [install, errors] = gates;
    const strict = gateSchema.parse({ gate: 'errors', tolerate: 1.1, ruleOut: 1.5 });
    const waves = [[errors, install], [strict]].map((list) => list.flatMap((gate) => (gate === undefined ? [] : [gate])));
    expect(alarmOf(errors, waves)).toBe(0.01 / 2 / 2);
    expect(alarmOf(strict, waves)).toBe(0.01 / 2 / 2);
    expect(alarmOf(install, waves)).toBe(0.01 / 2);
  });

  it('is never exceeded in sum', () => {
    const waves = [gates, gates.slice(0, 2), [gateSchema.parse({ gate: 'drift' }), ...gates]];
    const tests = new Map<string, number>();
    for (const [wave, list] of waves.entries()) {
      for (const gate of list) tests.set('tolerate' in gate ? JSON.stringify(gate) : `${gate.gate} ${wave}`, alarmOf(gate, waves));
    }
    expect([...tests.values()].reduce((sum, level) => sum + level, 0)).toBeCloseTo(0.01, 12);
  });
});
