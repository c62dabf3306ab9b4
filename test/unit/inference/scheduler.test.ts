import { describe, expect, test } from 'vitest';
import { batchPolicy } from '#agent/inference/decide/batch-policy.js';
import { Scheduler } from '#agent/inference/batching/scheduler.js';
import type { Work } from '#agent/inference/batching/work.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { coded } from '../../kit/coded.js';
import { type FakeBehaviour, FakeInstance } from '../../kit/fake-instance.js';
import { fp32, numbersOf, X, Y } from '../../kit/servables.js';
import { settled, VirtualClock } from '../../kit/virtual-clock.js';

const BEHAVIOUR = { inputs: [X], outputs: [Y] };

function setUp(
  options: {
    instances?: number;
    aloneFirst?: number;
    capacity?: number;
    batching?: Parameters<typeof batchPolicy>[0];
    run?: FakeBehaviour['run'];
  } = {},
) {
  const clock = new VirtualClock();
  const behaviour = options.run === undefined ? BEHAVIOUR : { ...BEHAVIOUR, run: options.run };
  const instances = Array.from({ length: options.instances ?? 1 }, () => new FakeInstance(behaviour, false));
  const stopped: string[] = [];
  const idle = [...instances];
  const scheduler: Scheduler<FakeInstance> = new Scheduler({
    pool: {
      get hasIdle() {
        return idle.length > 0;
      },
      acquire: () => idle.pop(),
      release: (instance) => {
        idle.push(instance);
        scheduler.wake();
      },
    },
    clock,
    capacity: options.capacity ?? 8,
    runLimit: 1_000,
    aloneFirst: options.aloneFirst ?? 0,
    batching: options.batching === undefined ? undefined : batchPolicy(options.batching),
    onBatchingStopped: (reason) => stopped.push(reason),
  });
  return { clock, instance: instances[0]!, instances, idle, scheduler, stopped };
}

const work = (values: readonly number[], extra: Partial<Work> = {}): Work => ({
  inputs: { x: fp32([values.length, 1], values) },
  outputs: undefined,
  timeout: 1000,
  owned: false,
  ...extra,
});
const answer = async (result: Promise<{ outputs: Readonly<Record<string, Parameters<typeof numbersOf>[0]>> }>) =>
  numbersOf((await result).outputs['y']);

describe('one at a time', () => {
  test('in order, with the time spent waiting', async () => {
    const { scheduler, instance, clock, idle } = setUp();
    const first = scheduler.submit(work([1]));
    const second = scheduler.submit(work([2]));
    expect(instance.runs).toHaveLength(1);
    await clock.advance(30);
    instance.runs[0]?.finish();
    expect((await first).queue).toBe(0);
    await settled();
    instance.runs[1]?.finish();
    expect((await second).queue).toBe(30);
    await scheduler.idle();
    expect([scheduler.inFlight, idle.length, clock.pending]).toEqual([0, 1, 0]);
  });

  test('more than may wait is refused, with the reason', async () => {
    const { scheduler } = setUp({ capacity: 2 });
    void scheduler.submit(work([1]));
    void scheduler.submit(work([2]));
    void scheduler.submit(work([3]));
    await expect(scheduler.submit(work([4]))).rejects.toEqual(coded('INFERENCE_QUEUE_FULL', '2 requests'));
  });

  test('queued work past its deadline, or whose caller has gone, is never run', async () => {
    const { scheduler, instance, clock } = setUp();
    const running = scheduler.submit(work([1]));
    const late = scheduler.submit(work([2], { timeout: 10 }));
    const gone = scheduler.submit(work([3], { recipient: { abandoned: () => true, onAbandoned: () => undefined } }));
    const kept = scheduler.submit(work([4]));
    const failures = Promise.allSettled([late, gone]);
    await clock.advance(20);
    instance.runs[0]?.finish();
    await running;
    await settled();
    instance.runs[1]?.finish();
    expect(await answer(kept)).toEqual([4]);
    expect(await failures).toMatchObject([{ reason: coded('INFERENCE_TIMEOUT') }, { reason: coded('INFERENCE_ABANDONED') }]);
    expect(instance.runs.map((run) => numbersOf(run.inputs['x']))).toEqual([[1], [4]]);
  });

  test('a run past its deadline answers its caller, and counts until it ends', async () => {
    const { scheduler, instance, clock } = setUp();
    const slow = scheduler.submit(work([1], { timeout: 10 }));
    const outcome = Promise.allSettled([slow]);
    await clock.advance(10);
    expect(await outcome).toMatchObject([{ reason: coded('INFERENCE_TIMEOUT') }]);
    expect(scheduler.inFlight).toBe(1);
    let drained = false;
    const idle = scheduler.idle().then(() => (drained = true));
    await settled();
    expect(drained).toBe(false);
    instance.runs[0]?.finish();
    await idle;
  });

  test('4: a caller that allowed less than the default is told so, and what came too late is told by its timing', async () => {
    const { scheduler, instance, clock } = setUp();
    const late: number[] = [];
    const hurried = { timeout: 10, hurried: true, late: ({ compute }: { compute: number }) => late.push(compute) };
    const outcome = Promise.allSettled([scheduler.submit(work([1], hurried)), scheduler.submit(work([2], hurried))]);
    await clock.advance(10);
    expect(await outcome).toMatchObject([
      { reason: coded('INFERENCE_TIMEOUT_SHORT', 'while the model ran') },
      { reason: coded('INFERENCE_TIMEOUT_SHORT', 'waiting') },
    ]);
    instance.runs[0]?.finish();
    await settled();
    expect(late, 'the one that ran').toEqual([1]);
  });

  test('failAll fails what waits, once', async () => {
    const { scheduler, instance } = setUp();
    const running = scheduler.submit(work([1]));
    const waiting = scheduler.submit(work([2]));
    scheduler.failAll(new SkerryError('INFERENCE_SERVABLE_FAILED', 'gone'));
    await expect(waiting).rejects.toEqual(coded('INFERENCE_SERVABLE_FAILED'));
    instance.runs[0]?.finish();
    expect(await answer(running)).toEqual([1]);
  });
});

describe('batches', () => {
  const batching = { maxBatchSize: 4, maxDelayMicros: 5_000 };

  test('requests that wait run together, and each gets its rows', async () => {
    const { scheduler, instance, clock } = setUp({ batching });
    const results = [work([1, 2]), work([3])].map((one) => answer(scheduler.submit(one)));
    expect(instance.runs).toHaveLength(0);
    await clock.advance(5);
    expect(numbersOf(instance.runs[0]?.inputs['x'])).toEqual([1, 2, 3]);
    instance.runs[0]?.finish();
    expect(await Promise.all(results)).toEqual([[1, 2], [3]]);
  });

  test('one bad request does not fail its neighbours', async () => {
    const { scheduler, instance } = setUp({ batching });
    const results = [1, 2, 3, 4].map((value) => scheduler.submit(work([value])));
    const outcome = Promise.allSettled(results);
    await settled();
    instance.runs[0]?.fail(new SkerryError('INFERENCE_RUN_FAILED', 'one of you'));
    for (const [index] of results.entries()) {
      await settled();
      const run = instance.runs[index + 1];
      if (numbersOf(run?.inputs['x'])[0] === 3) run?.fail(new SkerryError('INFERENCE_RUN_FAILED', 'you'));
      else run?.finish();
    }
    expect((await outcome).map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  });

  /** As many rows as there are values above 0, as detections have. */
  const detections: FakeBehaviour['run'] = ({ x }) => {
    const found = numbersOf(x).filter((value) => value > 0);
    return { y: fp32([found.length, 1], found) };
  };

  test('a batch whose outputs do not have one row for each input row is not handed out: each runs by itself, and batching stops', async () => {
    const { scheduler, instance, clock, stopped } = setUp({ batching, run: detections });
    const results = [work([5]), work([0]), work([6])].map((one) => answer(scheduler.submit(one)));
    await clock.advance(5);
    expect(numbersOf(instance.runs[0]?.inputs['x'])).toEqual([5, 0, 6]);
    for (let run = 0; run < 4; run++) {
      instance.runs[run]?.finish();
      await settled();
    }
    expect(await Promise.all(results)).toEqual([[5], [], [6]]);
    expect(stopped).toEqual(['output "y" has 2 rows (shape [2,1]) for 3 input rows']);
    const later = [work([7]), work([0])].map((one) => answer(scheduler.submit(one)));
    for (let run = 4; run < 6; run++) {
      expect(numbersOf(instance.runs[run]?.inputs['x'])).toHaveLength(1);
      instance.runs[run]?.finish();
      await settled();
    }
    expect(await Promise.all(later)).toEqual([[7], []]);
    expect(stopped).toHaveLength(1);
  });

  test('one request whose outputs have other rows than its inputs stops batching before two share a run', async () => {
    const { scheduler, instance, clock, stopped } = setUp({ batching, run: detections });
    const first = answer(scheduler.submit(work([0])));
    await clock.advance(5);
    instance.runs[0]?.finish();
    expect(await first).toEqual([]);
    expect(stopped).toEqual(['output "y" has 0 rows (shape [0,1]) for 1 input rows']);
    // Together these two have one row for each input row, and the wrong ones.
    const results = [work([5, 6]), work([0])].map((one) => answer(scheduler.submit(one)));
    for (let run = 1; run < 3; run++) {
      await settled();
      instance.runs[run]?.finish();
    }
    expect(await Promise.all(results)).toEqual([[5, 6], []]);
  });

  test('the first requests run alone, so that one with other rows than its inputs is seen before two share a run', async () => {
    const { scheduler, instance, stopped } = setUp({ batching, aloneFirst: 3, run: detections });
    const results = [[1], [2, 3], [4, 0], [5], [6]].map((values) => answer(scheduler.submit(work(values))));
    for (let run = 0; run < 5; run++) {
      instance.runs[run]?.finish();
      await settled();
    }
    expect(instance.runs.map((run) => numbersOf(run.inputs['x']))).toEqual([[1], [2, 3], [4, 0], [5], [6]]);
    expect(stopped).toEqual(['output "y" has 1 rows (shape [1,1]) for 2 input rows']);
    expect(await Promise.all(results)).toEqual([[1], [2, 3], [4], [5], [6]]);
  });

  test('a dead worker fails the whole batch, without a second try', async () => {
    const { scheduler, instance } = setUp({ batching });
    const outcome = Promise.allSettled([1, 2, 3, 4].map((value) => scheduler.submit(work([value]))));
    await settled();
    instance.die();
    expect(await outcome).toMatchObject(Array.from({ length: 4 }, () => ({ reason: coded('INFERENCE_INSTANCE_DIED') })));
  });

  test('each gets the outputs it asked for', async () => {
    const { scheduler, instance, clock } = setUp({ batching });
    const some = scheduler.submit(work([1], { outputs: ['y'] }));
    const none = scheduler.submit(work([2], { outputs: ['other'] }));
    await clock.advance(5);
    instance.runs[0]?.finish();
    expect(Object.keys((await some).outputs)).toEqual(['y']);
    expect(Object.keys((await none).outputs)).toEqual([]);
  });
});
