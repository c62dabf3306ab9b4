import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '#agent/store/events.js';
import { SignedClock } from '#agent/sync/signed-clock.js';
import { days } from '#shared/kernel/clock.js';
import { memoryState } from '../../kit/memory-store.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

describe('SignedClock', () => {
  it('never goes back behind a signed time, over a restart too', async () => {
    const clock = new VirtualClock();
    const state = memoryState();
    const events: AgentEvent[] = [];
    const sink = { emit: (event: AgentEvent) => void events.push(event) };
    const signed = clock.now();
    await (await SignedClock.open({ state, clock, events: sink })).observe(signed, true);
    clock.setWallClock(signed - days(400));
    const again = await SignedClock.open({ state, clock, events: sink });
    expect(again.now()).toMatchObject({ now: signed, trusted: false });
    again.now();
    expect(events.length).toBe(1);
  });

  it('calls a clock far ahead of what was just signed untrusted, and trusts it again once set', async () => {
    const clock = new VirtualClock();
    const time = await SignedClock.open({ state: memoryState(), clock, events: { emit: () => undefined } });
    const right = clock.now();
    clock.setWallClock(right + days(3));
    await time.observe(right, true);
    expect(time.now()).toMatchObject({ trusted: false, now: right + days(3) });
    clock.setWallClock(right);
    expect(time.now().trusted).toBe(true);
    await clock.advance(days(10));
    expect(time.now().trusted).toBe(true);
  });
});
