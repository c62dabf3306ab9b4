import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planIdle, planRoom, type Resident } from '#agent/inference/decide/memory-budget.js';

const resident = fc.record({ bytes: fc.nat(1000), lastUsed: fc.nat(100), idle: fc.boolean() });
const residents = fc.array(resident, { maxLength: 12 });
const sum = (list: readonly Resident[]): number => list.reduce((total, { bytes }) => total + bytes, 0);

describe('the plan of a memory budget', () => {
  it('gives room within the budget, or to one version alone, and never takes it from what is in use', () => {
    fc.assert(
      fc.property(residents, fc.nat(1500), fc.nat(3000), (loaded, needed, budget) => {
        const plan = planRoom(loaded, needed, budget);
        const unload = plan.kind === 'wait' ? loaded.filter(({ idle }) => idle) : plan.unload;
        const kept = loaded.filter((one) => !unload.includes(one));
        expect(unload.every(({ idle }) => idle)).toBe(true);
        // It is to wait only where all that is idle would not be enough, and something in use stays.
        expect(kept.length > 0 && sum(kept) + needed > budget).toBe(plan.kind === 'wait');
      }),
    );
  });

  it('unloads the least recently used first, and no more than it takes', () => {
    fc.assert(
      fc.property(residents, fc.nat(1500), fc.nat(3000), (loaded, needed, budget) => {
        const plan = planRoom(loaded, needed, budget);
        if (plan.kind === 'wait') return;
        const kept = loaded.filter((one) => one.idle && !plan.unload.includes(one));
        const newest = Math.max(...plan.unload.map(({ lastUsed }) => lastUsed));
        expect(kept.every(({ lastUsed }) => lastUsed >= newest)).toBe(true);
        const rest = plan.unload.slice(0, -1);
        const withoutLast = loaded.filter((one) => !rest.includes(one));
        expect(plan.unload.length === 0 || sum(withoutLast) + needed > budget).toBe(true);
      }),
    );
  });

  it('unloads what was idle for as long as it is set, and looks again when the next may be', () => {
    fc.assert(
      fc.property(residents, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 100, max: 200 }), (loaded, idleUnload, now) => {
        const { unload, lookAt } = planIdle(loaded, idleUnload, now);
        expect(unload).toEqual(loaded.filter(({ idle, lastUsed }) => idle && now - lastUsed >= idleUnload));
        const rest = loaded.filter((one) => !unload.includes(one));
        expect(lookAt === undefined).toBe(rest.length === 0);
        expect(lookAt ?? now + 1).toBeGreaterThan(now);
      }),
    );
  });
});
