import { expect, test } from 'vitest';
import { InstancePool } from '#agent/inference/instances/pool.js';
import { hours } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { coded } from '../../kit/coded.js';
import { FakeInstance } from '../../kit/fake-instance.js';
import { X, Y } from '../../kit/servables.js';
import { settled, VirtualClock } from '../../kit/virtual-clock.js';

function setUp(options: { instances?: number; restartLimit?: number; start?: () => Promise<FakeInstance> } = {}) {
  const clock = new VirtualClock();
  const made: FakeInstance[] = [];
  const make = () => {
    const instance = new FakeInstance({ inputs: [X], outputs: [Y] });
    made.push(instance);
    return instance;
  };
  const failures: SkerryError[] = [];
  let idle = 0;
  const pool = new InstancePool(
    {
      start: options.start ?? (() => Promise.resolve(make())),
      clock,
      random: () => 0.999,
      settings: { instances: options.instances ?? 1, restartLimit: options.restartLimit ?? 3, restartWindow: 60_000 },
      logger: silentLogger,
      onIdle: () => idle++,
      onFailed: (error) => failures.push(error),
    },
    make(),
  );
  return { pool, clock, made, failures, idle: () => idle };
}

test('one that dies is replaced at once, then after a growing delay, until the limit', async () => {
  const { pool, clock, made, failures } = setUp({ restartLimit: 3 });
  const gaps: number[] = [];
  for (let death = 0; death < 3; death++) {
    made.at(-1)?.die();
    await settled();
    expect(pool.acquire()).toBeUndefined();
    const before = made.length;
    let waited = 0;
    while (made.length === before && waited < 60_000) {
      await clock.advance(100);
      waited += 100;
    }
    gaps.push(waited);
  }
  expect(gaps).toEqual([100, 200, 400]);
  expect(failures).toEqual([]);
  made.at(-1)?.die();
  await settled();
  expect(failures).toEqual([coded('INFERENCE_SERVABLE_FAILED', 'the fake worker died')]);
  expect(clock.pending).toBe(0);
});

test('where the last of too many ends was a crash, the version failed of crashes', async () => {
  const { made, failures } = setUp({ restartLimit: 0 });
  made[0]?.end(new SkerryError('INFERENCE_CRASHED', 'SIGFPE'));
  await settled();
  expect(failures).toEqual([coded('INFERENCE_CRASHED', 'SIGFPE')]);
});

test('deaths long ago do not count', async () => {
  const { clock, made, failures } = setUp({ restartLimit: 1 });
  for (let death = 0; death < 4; death++) {
    made.at(-1)?.die();
    await clock.advance(61_000);
  }
  expect(failures).toEqual([]);
});

test('a replacement that cannot be started counts as a death', async () => {
  let tries = 0;
  const { made, clock, failures } = setUp({
    restartLimit: 2,
    start: () => {
      tries++;
      return Promise.reject(new SkerryError('INFERENCE_MODEL_INVALID', 'no'));
    },
  });
  made[0]?.die();
  await clock.advance(10_000);
  expect(tries).toBe(2);
  expect(failures).toHaveLength(1);
});

test('7: a stuck one is replaced at once; only when it happens again is the version at fault', async () => {
  const { pool, failures, made, clock } = setUp();
  made[0]?.end(new SkerryError('INFERENCE_STUCK', 'never came back'));
  await clock.advance(0);
  expect([made.length, failures]).toEqual([2, []]);
  expect(pool.acquire()).toBe(made[1]);
  made[1]?.end(new SkerryError('INFERENCE_STUCK', 'never came back'));
  await clock.advance(0);
  expect(failures).toEqual([coded('INFERENCE_SERVABLE_FAILED', 'never came back')]);
  expect(made).toHaveLength(2);
});

test('7: a stuck one long after another is replaced, too', async () => {
  const { failures, made, clock } = setUp();
  for (let time = 0; time < 3; time++) {
    made.at(-1)?.end(new SkerryError('INFERENCE_STUCK', 'never came back'));
    await clock.advance(hours(7));
  }
  expect([made.length, failures]).toEqual([4, []]);
});

test('close ends all, restarts nothing, and is idempotent', async () => {
  const { pool, made, clock } = setUp({ instances: 3 });
  await pool.fill();
  expect(made).toHaveLength(3);
  made[0]?.die();
  await settled();
  await Promise.all([pool.close(), pool.close()]);
  await clock.advance(60_000);
  expect(made).toHaveLength(3);
  expect(made.slice(1).every((instance) => instance.closed)).toBe(true);
  pool.release(made[1]!);
  expect(pool.acquire()).toBeUndefined();
});

test('one that is on its way when the pool is closed has ended once close resolves', async () => {
  let arrive: (instance: FakeInstance) => void = () => undefined;
  const { pool } = setUp({ instances: 2, start: () => new Promise((resolve) => (arrive = resolve)) });
  const filling = pool.fill();
  await settled();
  const late = new FakeInstance({ inputs: [X], outputs: [Y] });
  let ended: () => void = () => undefined;
  late.close = () => new Promise((resolve) => (ended = resolve));
  let closed = false;
  const closing = pool.close().then(() => (closed = true));
  arrive(late);
  await settled();
  expect(closed).toBe(false);
  ended();
  await Promise.all([closing, filling]);
  expect(closed).toBe(true);
});

test('filling never makes more than the setting, also while one that ended is replaced', async () => {
  const started: ((instance: FakeInstance) => void)[] = [];
  const { pool, clock, made } = setUp({ instances: 2, start: () => new Promise((resolve) => started.push(resolve)) });
  const filling = pool.fill();
  made[0]?.die();
  await settled();
  await clock.advance(1_000);
  expect(started).toHaveLength(2);
  for (const resolve of started) resolve(new FakeInstance({ inputs: [X], outputs: [Y] }));
  await filling;
  await clock.advance(60_000);
  expect(started).toHaveLength(2);
  expect([pool.acquire(), pool.acquire(), pool.acquire()].filter((instance) => instance !== undefined)).toHaveLength(2);
  await pool.close();
});
