import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ServableEvent, transition } from '#agent/inference/servables/servable.js';
import { SERVABLE_STATES, type ServableState } from '#shared/protocol/messages.js';
import { coded } from '../kit/coded.js';

const EVENTS: readonly ServableEvent[] = ['loaded', 'warmed', 'failed', 'drain', 'drained'];

test('a servable only ever walks forward, and serves only after loading and warming', () => {
  const rank: Record<ServableState, number> = { loading: 0, warming: 1, available: 2, draining: 3, failed: 3, unloaded: 4 };
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 12 }), (events) => {
      let state: ServableState = 'loading';
      const walked: ServableState[] = [state];
      for (const event of events) {
        const next = step(state, event);
        if (next === undefined) continue;
        expect(rank[next]).toBeGreaterThan(rank[state]);
        state = next;
        walked.push(state);
      }
      const before = (wanted: ServableState) => walked.slice(0, Math.max(0, walked.indexOf(wanted)));
      expect(before('available')).toEqual(walked.includes('available') ? ['loading', 'warming'] : []);
      expect(['draining', 'failed', undefined]).toContain(before('unloaded').at(-1));
    }),
  );
});

test('an event the state does not accept is a bug', () => {
  for (const state of SERVABLE_STATES) {
    for (const event of EVENTS.filter((one) => step(state, one) === undefined)) {
      expect(() => transition(state, event)).toThrow(coded('INFERENCE_TRANSITION', state));
    }
  }
});

function step(state: ServableState, event: ServableEvent): ServableState | undefined {
  try {
    return transition(state, event);
  } catch {
    return undefined;
  }
}

test('every state is left by some event but the last, and every state is reached', () => {
  const reached = new Set<ServableState>(['loading']);
  for (const state of SERVABLE_STATES) {
    const next = EVENTS.flatMap((event) => step(state, event) ?? []);
    expect(next.length > 0).toBe(state !== 'unloaded');
    for (const one of next) reached.add(one);
  }
  expect([...reached].sort()).toEqual([...SERVABLE_STATES].sort());
});
