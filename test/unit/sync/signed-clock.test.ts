import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '#agent/store/events.js';
import type { StateStore } from '#agent/store/contract.js';
import { SignedClock } from '#agent/sync/signed-clock.js';
import { days, hours, minutes } from '#shared/kernel/time.js';
import { memoryState } from '../../kit/memory-store.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

/** A machine that was switched on when its clock was made, or a while before. */
function machine({
  state = memoryState(),
  clock = new VirtualClock(),
  before = 0,
}: {
  state?: StateStore;
  clock?: VirtualClock;
  before?: number;
} = {}) {
  const events: AgentEvent[] = [];
  const open = () =>
    SignedClock.open({ state, clock, events: { emit: (event) => void events.push(event) }, uptime: () => clock.monotonic() + before });
  return { clock, state, events, open };
}

describe('SignedClock', () => {
  it('never goes back behind a signed time, over a restart too', async () => {
    const { clock, events, open } = machine();
    const signed = clock.now();
    await (await open()).observeMetadata(signed, true);
    clock.setWallClock(signed - days(400));
    const again = await open();
    expect(again.now()).toMatchObject({ now: signed, trusted: false });
    again.now();
    expect(events.length).toBe(1);
  });

  it('calls a clock far ahead of what was just signed untrusted, and trusts it again once set', async () => {
    const { clock, open } = machine();
    const time = await open();
    const right = clock.now();
    clock.setWallClock(right + days(3));
    await time.observeMetadata(right, true);
    expect(time.now()).toMatchObject({ trusted: false, now: right + days(3) });
    clock.setWallClock(right);
    expect(time.now().trusted).toBe(true);
    await clock.advance(days(10));
    expect(time.now().trusted).toBe(true);
  });

  it('18 D: takes the newest metadata for the hub’s last word on the time, also where it is earlier; a desired state only moves it on', async () => {
    const { clock, open } = machine();
    const right = clock.now();
    clock.setWallClock(right - days(2_000));
    const time = await open();
    await time.observeMetadata(right + days(25), true);
    expect(time.now().now).toBe(right + days(25));
    await time.observeStatement(right);
    expect(time.now().now).toBe(right + days(25));
    await time.observeMetadata(right, true);
    expect(time.now().now).toBe(right);
    expect(time.latestStatement).toBe(right + days(1));
  });

  it('18 D: holds a clock that was confirmed against the hub’s word, over restarts, until it is set or the machine was off', async () => {
    const first = machine();
    const { clock, state, open } = first;
    const time = await open();
    expect(time.latestMetadata).toBeUndefined();
    await time.observeMetadata(clock.now() - minutes(40), true);
    await clock.advance(hours(1));
    expect(time.latestMetadata).toBe(clock.now() + days(1));
    expect((await open()).confirmed).toBe(true);

    clock.setWallClock(clock.now() - days(400));
    expect(time.confirmed).toBe(false);
    clock.setWallClock(clock.now() + days(400));
    expect(time.confirmed).toBe(true);
    // Switched on again: the same clock, another uptime.
    const later = machine({ state, clock: new VirtualClock(clock.now() + hours(5)) });
    expect((await later.open()).confirmed).toBe(false);
  });

  it('18 D: is not confirmed by a statement that is far from it, or that it knew', async () => {
    const { clock, open } = machine();
    const time = await open();
    await time.observeMetadata(clock.now() + days(25), true);
    await time.observeMetadata(clock.now() - hours(9), true);
    await time.observeMetadata(clock.now(), false);
    expect(time.confirmed).toBe(false);
  });

  it('19 G: dates measurements with the time signed last and what has passed since, where the clock is wrong either way', async () => {
    const { clock, state, open } = machine();
    const right = clock.now();
    const time = await open();
    for (const wrong of [days(-2_000), days(3_000)]) {
      clock.setWallClock(right + wrong);
      await time.observeMetadata(right, true);
      await clock.advance(minutes(10));
      expect(time.measured()).toEqual({ at: right + minutes(10), exact: true });
    }
    // Switched on again years back, and nobody said yet what time it is.
    const later = machine({ state, clock: new VirtualClock(right - days(2_000)) });
    const unsaid = await later.open();
    await later.clock.advance(minutes(5));
    expect(unsaid.measured()).toEqual({ at: right + minutes(5), exact: false });
  });
});
