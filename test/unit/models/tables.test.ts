import { describe, expect, it } from 'vitest';
import { INSTALL_STATES } from '#shared/protocol/messages.js';
import { INSTALL_EVENTS, INSTALL_TABLE, nextState } from '#agent/install/decide/install-table.js';
import { judge } from '#agent/install/decide/judge.js';
import { coded } from '../../kit/coded.js';

describe('the install table', () => {
  it('reaches every state from wanted, and every state can become bad', () => {
    const reached = new Set<string>(['wanted']);
    for (let grew = true; grew; ) {
      const next = [...reached].flatMap((state) => Object.values(INSTALL_TABLE[state as 'wanted']));
      grew = next.some((state) => !reached.has(state));
      for (const state of next) reached.add(state);
    }
    expect([...reached].sort()).toEqual([...INSTALL_STATES].sort());
    const refusable = INSTALL_STATES.filter((state) => state !== 'bad');
    expect(refusable.map((state) => nextState(state, 'refuse'))).toEqual(refusable.map(() => 'bad'));
  });

  it('leaves bad only by a new attempt', () => {
    expect(Object.keys(INSTALL_TABLE.bad)).toEqual(['retry']);
  });

  it('takes an event without a row for a bug', () => {
    const pairs = INSTALL_STATES.flatMap((state) => INSTALL_EVENTS.map((event) => ({ state, event })));
    const missing = pairs.filter(({ state, event }) => INSTALL_TABLE[state][event] === undefined);
    expect(missing.length).toBeGreaterThan(0);
    for (const { state, event } of missing) expect(() => nextState(state, event)).toThrow(coded('MODELS_ILLEGAL_TRANSITION'));
  });
});

describe('what follows from a failure', () => {
  const base = { failedBefore: 0, replaceable: true } as const;

  it.each([
    { ...base, step: 'fetchManifest', code: 'SYNC_OFFLINE', failedBefore: 99, verdict: 'retry' },
    { ...base, step: 'fetchManifest', code: 'TRUST_METADATA_EXPIRED', failedBefore: 99, verdict: 'retry' },
    { ...base, step: 'fetchManifest', code: 'MODELS_MANIFEST_MISMATCH', verdict: 'refuse' },
    { ...base, step: 'fetchManifest', code: 'MODELS_NOT_TRUSTED', verdict: 'retry' },
    { ...base, step: 'fetchManifest', code: 'MODELS_NOT_TRUSTED', failedBefore: 2, verdict: 'refuse' },
    { ...base, step: 'fetchArtifact', code: 'BUNDLE_CHUNK_MISMATCH', failedBefore: 1, verdict: 'retry' },
    { ...base, step: 'fetchArtifact', code: 'DISK_FULL', verdict: 'space' },
    { ...base, step: 'fetchArtifact', code: 'STORE_OVER_BUDGET', verdict: 'space' },
    { ...base, step: 'fetchArtifact', code: 'ABORTED', verdict: 'drop' },
    { ...base, step: 'load', code: 'INFERENCE_GOLDEN_MISMATCH', verdict: 'refuse' },
    { ...base, step: 'load', code: 'INFERENCE_GOLDEN_MISMATCH', replaceable: false, verdict: 'retry' },
    { ...base, step: 'load', code: 'TIMEOUT', verdict: 'retry' },
    { ...base, step: 'load', code: 'TIMEOUT', failedBefore: 2, verdict: 'refuse' },
    { ...base, step: 'load', code: 'INFERENCE_INSTANCE_DIED', failedBefore: 1, verdict: 'retry' },
    { ...base, step: 'load', code: 'INFERENCE_INSTANCE_DIED', failedBefore: 2, verdict: 'refuse' },
    { ...base, step: 'load', code: 'INFERENCE_OUT_OF_MEMORY', failedBefore: 1, verdict: 'retry' },
    { ...base, step: 'load', code: 'INFERENCE_CRASHED', verdict: 'refuse' },
    { ...base, step: 'load', code: 'INFERENCE_STUCK', verdict: 'retry' },
    { ...base, step: 'load', code: 'INFERENCE_STUCK', failedBefore: 1, verdict: 'refuse' },
    { ...base, step: 'load', code: 'CLOSED', verdict: 'drop' },
    { ...base, step: 'load', code: 'TRUST_METADATA_EXPIRED', verdict: 'retry' },
    { ...base, step: 'switch', code: 'DISK_FULL', verdict: 'space' },
    { ...base, step: 'switch', code: 'IO_FAILED', verdict: 'retry' },
  ] as const)('$step with $code after $failedBefore failures: $verdict', ({ verdict, step, ...failure }) => {
    expect(judge({ ...failure, loads: step === 'load' })).toBe(verdict);
  });
});
