import { describe, expect, test, vi } from 'vitest';
import { LONGEST_TIMER, sleep, systemClock, timeoutSignal } from '#shared/kernel/clock.js';
import { days, minutes } from '#shared/kernel/time.js';
import { coded } from '../../kit/coded.js';
import { ModelRig } from '../../kit/model-rig.js';
import { settled, VirtualClock } from '../../kit/virtual-clock.js';

/** From issue to issue the same lengths: the longest delay of a timer, one more, a month, a year. */
const DELAYS = [LONGEST_TIMER, LONGEST_TIMER + 1, days(25), days(30), days(365), 2 ** 40];

describe('long times (point 15): a delay that no timer can hold', () => {
  test('a raw timer of the virtual clock overflows as one of Node does', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.start(LONGEST_TIMER, () => fired.push('longest'));
    clock.start(LONGEST_TIMER + 1, () => fired.push('too long'));
    clock.start(Number.NaN, () => fired.push('none'));
    await clock.advance(1);
    expect(fired).toEqual(['too long', 'none']);
  });

  test.each(DELAYS)('%d ms pass in full, and can be cancelled', async (delay) => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    clock.schedule(delay, () => fired.push(clock.monotonic()));
    const cancel = clock.schedule(delay, () => fired.push(-1));
    await clock.advance(delay - 1);
    expect(fired).toEqual([]);
    cancel();
    await clock.advance(1);
    expect(fired).toEqual([delay]);
    expect(clock.pending).toBe(0);
  });

  test('what never comes due stays out of the way', async () => {
    const clock = new VirtualClock();
    const fire = vi.fn<() => void>();
    const cancel = clock.schedule(Number.POSITIVE_INFINITY, fire);
    await clock.advance(days(10_000));
    cancel();
    expect([fire.mock.calls.length, clock.pending]).toEqual([0, 0]);
  });

  test('the clock of the system waits, too', async () => {
    const fire = vi.fn<() => void>();
    const cancels = DELAYS.map((delay) => systemClock.schedule(delay, fire));
    const controller = new AbortController();
    const slept = sleep(systemClock, days(25), controller.signal);
    const limit = timeoutSignal(systemClock, days(25));
    await sleep(systemClock, 20);
    for (const cancel of [...cancels, limit.cancel]) cancel();
    controller.abort();
    await expect(slept).rejects.toEqual(coded('ABORTED', ''));
    expect([fire.mock.calls.length, limit.signal.aborted]).toEqual([0, false]);
  });
});

test('long times (point 15): a bake time of 30 days does not have the agent look at its disk again and again', async () => {
  const rig = await ModelRig.create({ settings: { bake: days(30) } });
  const version = rig.version('vad', 1);
  rig.desired.want(version);
  const { store } = await rig.start();
  await rig.answers(version.model, 1);
  const looks = vi.spyOn(store.blobs, 'list');
  await rig.clock.advance(minutes(1));
  await settled();
  expect(looks.mock.calls.length).toBeLessThan(5);
});
