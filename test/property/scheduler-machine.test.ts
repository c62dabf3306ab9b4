import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Scheduler } from '#agent/inference/batching/scheduler.js';
import type { Work } from '#agent/inference/batching/work.js';
import { batchPolicy, type BatchSettings } from '#agent/inference/decide/batch-policy.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { FakeInstance } from '../kit/fake-instance.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { fp32, numbersOf, X, Y } from '../kit/servables.js';
import { settled, VirtualClock } from '../kit/virtual-clock.js';

const CAPACITY = 4;

type Step =
  | { readonly kind: 'submit'; readonly rows: number; readonly priority: number; readonly timeout: number; readonly queueTimeout: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'finish' | 'fail'; readonly which: number }
  | { readonly kind: 'pass'; readonly millis: number };

const submits = fc.record({
  kind: fc.constant('submit' as const),
  rows: fc.integer({ min: 1, max: 3 }),
  priority: fc.integer({ min: 0, max: 3 }),
  timeout: fc.constantFrom(20, 60, 10_000),
  queueTimeout: fc.constantFrom(5, 15, 10_000),
});
const others = fc.oneof(
  fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constantFrom('finish' as const, 'finish' as const, 'fail' as const), which: fc.nat(3) }),
  fc.record({ kind: fc.constant('pass' as const), millis: fc.integer({ min: 1, max: 12 }) }),
);
const steps: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof(submits, submits, others), { maxLength: 40 });
const settings: fc.Arbitrary<BatchSettings> = fc.record({
  maxBatchSize: fc.integer({ min: 1, max: 6 }),
  preferredSizes: fc.constantFrom([], [2], [3, 5]),
  maxDelayMicros: fc.constantFrom(0, 5_000),
  preserveOrdering: fc.boolean(),
  priorityLevels: fc.integer({ min: 0, max: 2 }),
  defaultQueuePolicy: fc.record({
    timeoutAction: fc.constantFrom('reject' as const, 'delay' as const),
    allowTimeoutOverride: fc.boolean(),
    maxQueueSize: fc.constantFrom(0, 2),
  }),
});

/** Tells of a run the moment it begins. */
class WatchedInstance extends FakeInstance {
  readonly #began: (instance: WatchedInstance, inputs: NamedTensors) => void;

  constructor(began: (instance: WatchedInstance, inputs: NamedTensors) => void) {
    super({ inputs: [X], outputs: [Y] }, false);
    this.#began = began;
  }

  override run(inputs: NamedTensors): ReturnType<FakeInstance['run']> {
    const running = super.run(inputs);
    this.#began(this, inputs);
    return running;
  }
}

interface Taken {
  readonly id: number;
  readonly rows: number;
  readonly level: number;
  readonly cancel: () => void;
  cancelledWaiting: boolean;
  starts: number;
  outcomes: string[];
}

/** One scheduler whose clock, instances and callers a test moves. Each request is told by the value of its rows. */
class Machine {
  readonly clock = new VirtualClock();
  readonly taken: Taken[] = [];
  /** Ids in the order in which runs began, and in which answers were given. */
  readonly started: number[] = [];
  readonly answered: number[] = [];
  readonly problems: string[] = [];
  readonly #busy = new Map<WatchedInstance, FakeInstance['runs'][number]>();
  readonly scheduler: Scheduler<WatchedInstance>;
  readonly #settings: BatchSettings;

  constructor(given: BatchSettings, instances: number) {
    this.#settings = given;
    const idle = Array.from({ length: instances }, () => new WatchedInstance((one, inputs) => this.#began(one, inputs)));
    this.scheduler = new Scheduler<WatchedInstance>({
      pool: {
        get hasIdle() {
          return idle.length > 0;
        },
        acquire: () => idle.pop(),
        release: (instance) => {
          this.#busy.delete(instance);
          idle.push(instance);
          this.scheduler.wake();
        },
      },
      clock: this.clock,
      capacity: CAPACITY,
      runLimit: 1_000,
      aloneFirst: 0,
      batching: batchPolicy(given),
    });
  }

  async step(step: Step): Promise<void> {
    if (step.kind === 'submit') this.#submit(step);
    else if (step.kind === 'pass') await this.clock.advance(step.millis);
    else if (step.kind === 'cancel') this.#cancel(step.which);
    else this.#end(step.kind, step.which);
    await settled();
    this.look();
  }

  /** Ends whatever runs until nothing is left. */
  async drain(): Promise<void> {
    for (let round = 0; round < 200 && this.scheduler.inFlight > 0; round++) {
      this.#end('finish', 0);
      await this.clock.advance(5);
      this.look();
    }
    await this.scheduler.idle();
  }

  /** No level has more waiting than it may. */
  look(): void {
    for (let level = 0; level < Math.max(1, this.#settings.priorityLevels ?? 0); level++) {
      const waits = this.taken.filter((one) => one.level === level && one.outcomes.length === 0 && one.starts === 0);
      const most = this.#settings.defaultQueuePolicy?.maxQueueSize === 2 ? 2 : CAPACITY;
      if (waits.length > most) this.problems.push(`${waits.length} wait at level ${level}`);
    }
  }

  #began(instance: WatchedInstance, { x }: NamedTensors): void {
    const run = instance.runs.at(-1);
    if (run !== undefined) this.#busy.set(instance, run);
    const rows = numbersOf(x);
    const ids = [...new Set(rows)];
    // The scheduler would take what is thrown here for a failure of the model.
    if (ids.length > 1 && rows.length > this.#settings.maxBatchSize) this.problems.push(`${rows.length} rows share a run`);
    for (const id of ids) {
      const one = this.taken[id];
      if (one?.outcomes.length !== 0 || one.cancelledWaiting) this.problems.push(`${id} is run, and was settled or cancelled`);
      if (one !== undefined) one.starts++;
      this.started.push(id);
    }
  }

  #submit({ rows, priority, timeout, queueTimeout }: Step & { kind: 'submit' }): void {
    const id = this.taken.length;
    const listeners: (() => void)[] = [];
    const levels = Math.max(1, this.#settings.priorityLevels ?? 0);
    const level = priority >= 1 && priority <= levels ? priority - 1 : 0;
    const cancel = (): void => listeners.forEach((listener) => listener());
    const one: Taken = { id, rows, level, cancel, cancelledWaiting: false, starts: 0, outcomes: [] };
    this.taken.push(one);
    const recipient = { abandoned: () => false, onAbandoned: (listener: () => void) => void listeners.push(listener) };
    const inputs = {
      x: fp32(
        [rows, 1],
        Array.from({ length: rows }, () => id),
      ),
    };
    const work: Work = { inputs, outputs: undefined, owned: false, timeout, queueTimeout, priority, recipient };
    this.scheduler.submit(work).then(
      ({ outputs }) => {
        if (String(numbersOf(outputs['y'])) !== String(Array.from({ length: rows }, () => id)))
          this.problems.push(`${id} got the rows of another`);
        this.answered.push(id);
        return one.outcomes.push('answered');
      },
      (cause: unknown) => one.outcomes.push(asSkerryError(cause).code),
    );
  }

  #cancel(which: number): void {
    const one = this.taken[which % Math.max(1, this.taken.length)];
    if (one === undefined || one.outcomes.length > 0) return;
    const before = this.scheduler.waiting;
    one.cancel();
    one.cancelledWaiting = one.starts === 0;
    const left = one.cancelledWaiting ? before - 1 : before;
    if (this.scheduler.waiting !== left) this.problems.push(`${one.id} was cancelled, and its room is not free at once`);
  }

  #end(how: 'finish' | 'fail', which: number): void {
    const runs = [...this.#busy.values()];
    const run = runs[which % Math.max(1, runs.length)];
    if (how === 'finish') run?.finish();
    else run?.fail(new SkerryError('INFERENCE_RUN_FAILED', 'one of them'));
  }
}

describe('the scheduler', () => {
  test('loses nothing, settles nothing twice, keeps order and limits, and never runs what was cancelled', async () => {
    await fc.assert(
      fc.asyncProperty(settings, fc.integer({ min: 1, max: 3 }), steps, async (given, instances, all) => {
        const machine = new Machine(given, instances);
        for (const step of all) await machine.step(step);
        await machine.drain();
        expect(machine.problems).toEqual([]);
        expect(machine.taken.every(({ outcomes }) => outcomes.length === 1)).toBe(true);
        expect([machine.scheduler.inFlight, machine.clock.pending]).toEqual([0, 0]);
        const first = [...new Set(machine.started)];
        // Within a level by their coming, but for those whose time was over and that run last.
        const inOrder = given.defaultQueuePolicy?.timeoutAction === 'reject' || given.defaultQueuePolicy?.allowTimeoutOverride === false;
        for (const level of inOrder ? [0, 1] : []) {
          const ids = first.filter((id) => machine.taken[id]?.level === level);
          expect(ids).toEqual(ids.toSorted((a, b) => a - b));
        }
        const answered = new Set(machine.answered);
        const wanted = given.preserveOrdering === true ? first.filter((id) => answered.has(id)) : machine.answered;
        expect(machine.answered).toEqual(wanted);
      }),
      { numRuns: 150 },
    );
  });
});
