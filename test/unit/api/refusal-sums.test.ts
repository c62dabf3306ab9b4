import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '#hub/api/audit-entry.js';
import { RefusalSums } from '#hub/api/refusal-sums.js';

const LIMITS = { window: 1_000, each: 3, addresses: 5 };

function refused(i: number, code = 'ENROL_TOKEN_INVALID'): AuditEntry {
  const source = `192.0.2.${i}`;
  return { actor: 'anonymous', action: 'enroll', target: `devices/d${i}`, source, outcome: 'refused', code, requestId: `r${i}` };
}

describe('refusals of strangers', () => {
  it('are recorded one by one while they are few', () => {
    const sums = new RefusalSums(LIMITS);
    for (let i = 0; i < 3; i++) expect(sums.take(refused(i), i)).toEqual([refused(i)]);
    expect(sums.end()).toEqual([]);
  });

  it('are summed by code when they are many, and recorded one by one in the next window again', () => {
    const sums = new RefusalSums(LIMITS);
    for (let i = 0; i < 10; i++) sums.take(refused(i), i);
    for (let i = 10; i < 14; i++) expect(sums.take(refused(7, 'DEVICE_ID_TAKEN'), i)).toEqual([]);
    expect(sums.isOver(999)).toBe(false);
    expect(sums.isOver(1_000)).toBe(true);
    const entries = sums.take(refused(15), 1_000);
    expect(entries).toMatchObject([
      { code: 'ENROL_TOKEN_INVALID', target: 'devices', source: '5 addresses', detail: { refusals: 7, addresses: 5 } },
      { code: 'DEVICE_ID_TAKEN', source: '192.0.2.7', detail: { refusals: 4, addresses: 1 } },
      refused(15),
    ]);
    expect(entries[0]?.detail).toMatchObject({ from: '1970-01-01T00:00:00.003Z', to: '1970-01-01T00:00:00.009Z' });
    expect(sums.end()).toEqual([]);
  });

  it('are not held back for ever by a clock that went back', () => {
    const sums = new RefusalSums(LIMITS);
    for (let i = 0; i < 5; i++) sums.take(refused(i), 5_000);
    expect(sums.take(refused(6), 100)).toHaveLength(2);
  });
});
