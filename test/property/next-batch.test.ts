import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchPolicy, batchPolicy, levelOf } from '#agent/inference/decide/batch-policy.js';
import { type Batchable, type BatchDecision, decideBatch, type QueueLevel } from '#agent/inference/decide/next-batch.js';
import { retryAfterSeconds } from '#agent/inference/decide/retry-after.js';

interface Waiting extends Batchable {
  readonly id: number;
}

/**
 * Triton's text (dynamic_batch_scheduler.cc), word for word and slow: it builds every batch that could be, longest last, and asks of each
 * what the text says of it.
 */
function asTheTextSays(levels: readonly QueueLevel<Waiting>[], now: number, policy: BatchPolicy): BatchDecision<Waiting> {
  const { maxBatchSize: max, preferredSizes: preferred, maxDelay } = policy;
  const isOver = (one: Waiting): boolean => one.queueUntil <= now;
  const isMoved = (level: number): boolean => policy.levels[level]?.timeoutAction === 'delay';
  /** Every waiting request once, where the walk meets it as one to run, or as one whose time is over. */
  const met = levels.flatMap(({ queue, delayed }, level) => [
    ...queue.map((one) => ({ one, level, over: isOver(one) })),
    ...delayed.map((one) => ({ one, level, over: false })),
    ...(isMoved(level) ? queue.filter(isOver).map((one) => ({ one, level, over: false })) : []),
  ]);
  const line = met.filter(({ over }) => !over).map(({ one }) => one);
  const rowsOf = (count: number): number => line.slice(0, count).reduce((sum, { rows }) => sum + rows, 0);
  const fits = (count: number): boolean =>
    count === 1 || (rowsOf(count) <= max && line.slice(0, count).every(({ key, alone }) => key === line[0]?.key && !alone));
  let longest = 0;
  while (longest < line.length && fits(longest + 1)) longest++;
  const counts = Array.from({ length: longest }, (_, index) => index + 1);
  const largest = Math.max(...preferred);
  const marks = counts.filter((count) => preferred.includes(rowsOf(count)));
  // "adding this request would make the batch size larger than all of the preferred batch sizes, so mark the cursor at this point".
  const beyond = counts.find((count) => count < line.length && rowsOf(count + 1) > largest);
  const mark = marks.at(-1) ?? (beyond === undefined || marks.some((count) => count <= beyond) ? undefined : beyond);
  const first = line[longest];
  const stop = first === undefined ? met.length : met.findIndex(({ one, over }) => one === first && !over);
  const over = met.slice(0, stop).filter((entry) => entry.over);
  const rejected = over.filter(({ level }) => !isMoved(level)).map(({ one }) => one);
  const delayed = over.filter(({ level }) => isMoved(level)).map(({ one }) => one);
  const run = (count: number): BatchDecision<Waiting> => ({ batch: line.slice(0, count), until: now, rejected, delayed });
  if (longest === 0) return { batch: [], until: Number.POSITIVE_INFINITY, rejected, delayed };
  const pending = line.slice(0, longest);
  const oldest = Math.min(...pending.map(({ enqueuedAt }) => enqueuedAt));
  const isDelayOver = maxDelay !== 0 && now >= oldest + maxDelay;
  if (mark !== undefined && !isDelayOver) return run(mark);
  const cannotGrow = longest < line.length || line[0]?.alone === true || rowsOf(longest) >= largest;
  if (isDelayOver || maxDelay === 0 || cannotGrow) return run(longest);
  const timeouts = pending.map(({ queueUntil }) => queueUntil).filter((until) => until > now);
  return { batch: [], until: Math.min(oldest + maxDelay, ...timeouts), rejected, delayed };
}

const policies = fc
  .record({
    maxBatchSize: fc.integer({ min: 1, max: 12 }),
    preferredSizes: fc.array(fc.integer({ min: 1, max: 14 }), { maxLength: 3 }),
    maxDelayMicros: fc.constantFrom(0, 10_000, 50_000),
    priorityLevels: fc.integer({ min: 0, max: 3 }),
    defaultQueuePolicy: fc.record({ timeoutAction: fc.constantFrom('reject', 'delay') }),
    priorityQueuePolicies: fc.constantFrom({}, { 1: { timeoutAction: 'delay' as const } }, { 2: { timeoutAction: 'reject' as const } }),
  })
  .map(batchPolicy);
const waiting = fc.record({
  rows: fc.integer({ min: 1, max: 6 }),
  key: fc.constantFrom('a', 'a', 'a', 'b'),
  enqueuedAt: fc.integer({ min: 0, max: 60 }),
  queueUntil: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 40, 55, 70),
  alone: fc.constantFrom(false, false, false, true),
});
const lists = fc.record({ queue: fc.array(waiting, { maxLength: 8 }), delayed: fc.array(waiting, { maxLength: 3 }) });
const cases = fc
  .tuple(policies, fc.array(lists, { minLength: 3, maxLength: 3 }), fc.integer({ min: 0, max: 100 }))
  .map(([policy, given, now]) => {
    let id = 0;
    const named = (list: readonly Omit<Waiting, 'id'>[]): Waiting[] => list.map((one) => ({ ...one, id: id++ }));
    const levels = given.slice(0, policy.levels.length).map(({ queue, delayed }) => ({ queue: named(queue), delayed: named(delayed) }));
    return { policy, levels, now };
  });

describe('the next batch', () => {
  test('is what the text of Triton says', () => {
    fc.assert(
      fc.property(cases, ({ policy, levels, now }) => {
        expect(decideBatch(levels, now, policy)).toEqual(asTheTextSays(levels, now, policy));
      }),
      { numRuns: 3_000 },
    );
  });

  const one = (rows: number, more: Partial<Waiting> = {}): Waiting => ({
    id: 0,
    rows,
    key: 'a',
    enqueuedAt: 0,
    queueUntil: Number.POSITIVE_INFINITY,
    alone: false,
    ...more,
  });
  const EIGHT = batchPolicy({ maxBatchSize: 8, preferredSizes: [4], maxDelayMicros: 10_000 });
  const AT_ONCE = batchPolicy({ maxBatchSize: 8, preferredSizes: [4] });
  const row = (name: string, policy: BatchPolicy, queue: readonly Waiting[], now: number, count: number | { readonly until: number }) =>
    ({ name, policy, queue, now, count }) as const;
  test.each([
    row('waits while more may come', EIGHT, [one(1), one(1)], 5, { until: 10 }),
    row('runs all when the delay is over', EIGHT, [one(1), one(1)], 10, 2),
    row('runs a preferred size and leaves the rest', EIGHT, [one(2), one(2), one(1)], 0, 2),
    row('runs all, and not a preferred size, when the delay is over', EIGHT, [one(2), one(2), one(1)], 10, 3),
    row('runs what cannot grow', EIGHT, [one(5), one(5)], 0, 1),
    row('runs what another shape follows', EIGHT, [one(1), one(1, { key: 'b' })], 0, 1),
    row('runs by itself what shares with nobody', EIGHT, [one(1, { alone: true }), one(1)], 0, 1),
    row('runs by itself what no batch holds', EIGHT, [one(20)], 0, 1),
    row('waits no longer than the nearest timeout', EIGHT, [one(1, { queueUntil: 7 })], 5, { until: 7 }),
    row('without a delay: at once whatever there is', AT_ONCE, [one(1)], 0, 1),
    row(
      'without a delay: a preferred size where there is one',
      AT_ONCE,
      Array.from({ length: 6 }, () => one(1)),
      0,
      4,
    ),
  ])('$name', ({ policy, queue, now, count }) => {
    const { batch, until } = decideBatch([{ queue, delayed: [] }], now, policy);
    expect(typeof count === 'number' ? batch.length : { until }).toEqual(count);
  });

  test('a request has the level that it names, or else the usual one, as in Triton', () => {
    const policy = batchPolicy({ maxBatchSize: 1, priorityLevels: 3, defaultPriorityLevel: 2 });
    expect([undefined, 0, 1, 3, 4, 2 ** 60].map((priority) => levelOf(policy, priority))).toEqual([1, 1, 0, 2, 1, 1]);
  });
});

test('the time until a refused request may come again is at least a second and at most half a minute', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, noNaN: true }), fc.double({ min: 0, noNaN: true }), (mean, oldest) => {
      const seconds = retryAfterSeconds({ mean, oldest });
      expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 30).toBe(true);
      expect(seconds === 30 || seconds * 1000 >= Math.max(mean, oldest)).toBe(true);
    }),
  );
});
