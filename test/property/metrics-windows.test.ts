import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agentTarget } from '#agent/metrics/agent-target.js';
import { HealthMonitor } from '#agent/metrics/health.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { type TelemetryPayload, TelemetryReporter } from '#agent/metrics/reporter.js';
import type { MeasuredTime } from '#shared/trust/decide/trusted-time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { telemetrySchema } from '#shared/protocol/messages.js';
import { ROWS } from '#shared/signals/rows.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { modelName, versionNumber } from '../kit/servables.js';
import { VirtualClock } from '../kit/virtual-clock.js';
import { until } from '../kit/until.js';

const target = (model: string, version = 1) => ({
  model: modelName(model),
  version: versionNumber(version),
  variant: 'fp32',
  provider: 'cpu',
});

const AGENT = agentTarget(undefined);

function setUp(stores: () => boolean = () => true, dated?: (clock: VirtualClock) => MeasuredTime) {
  const clock = new VirtualClock();
  const time = (): MeasuredTime => dated?.(clock) ?? { at: clock.now(), exact: true };
  const recorder = new MetricsRecorder();
  const stored: TelemetryPayload[] = [];
  const reporter = new TelemetryReporter({
    device: deviceIdSchema.parse('dev-1'),
    recorder,
    health: new HealthMonitor({ diskUsed: () => Promise.resolve(7) }),
    append: (payload) => {
      if (!stores()) return Promise.reject(new SkerryError('DISK_FULL', 'no'));
      stored.push(payload);
      return Promise.resolve();
    },
    agent: () => AGENT,
    clock,
    time,
    window: 60_000,
    logger: silentLogger,
  });
  return { clock, recorder, stored, reporter };
}

type Step = { kind: 'ok'; model: string; ms: number } | { kind: 'fail'; model: string } | { kind: 'flush'; stored: boolean };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('ok' as const),
        model: fc.constantFrom('a', 'b'),
        ms: fc.double({ min: 0, max: 1e4, noNaN: true }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), model: fc.constantFrom('a', 'b') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const), stored: fc.boolean() }) },
  ),
  { maxLength: 60 },
);

describe('metrics windows', () => {
  test('every prediction is in exactly one stored window, whatever happens between window closes', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        let storing = true;
        const { recorder, reporter, stored } = setUp(() => storing);
        const flushes: Promise<void>[] = [];
        const expected = { predictions: 0, failed: 0 };
        for (const step of sequence) {
          if (step.kind === 'ok') {
            recorder.succeeded(target(step.model), { queue: 0, compute: step.ms, total: step.ms });
            expected.predictions++;
          } else if (step.kind === 'fail') {
            recorder.failed(target(step.model), 'INFERENCE_TIMEOUT');
            expected.predictions++;
            expected.failed++;
          } else {
            // Not awaited: predictions go on while a window is being closed.
            flushes.push(reporter.flush());
            await Promise.all(step.stored ? flushes : []);
            storing = step.stored;
          }
        }
        await Promise.all(flushes);
        storing = true;
        await reporter.flush();
        const windows = stored.flatMap((payload) => payload.windows);
        const sum = (figures: number[]) => figures.reduce((total, value) => total + value, 0);
        const failed = sum(windows.flatMap((window) => Object.values(window.errors)));
        const sketched = sum(windows.map((window) => QuantileSketch.decode(window.total).count));
        expect({ predictions: sum(windows.map((window) => window.predictions)), failed }).toEqual(expected);
        expect(sketched).toBe(expected.predictions - expected.failed);
        expect(sum(recorder.totals().map(({ sums }) => sums.of(ROWS.predictions) ?? 0))).toBe(expected.predictions);
      }),
      { numRuns: 40 },
    );
  });

  test('closes at its interval, at the end, and says how the device is; messages pass the schema', async () => {
    const { clock, recorder, reporter, stored } = setUp();
    await reporter.start();
    recorder.succeeded(target('a'), { queue: 1, compute: 2, total: 3 });
    await clock.advance(60_000);
    await reporter.flush();
    recorder.failed(target('a'), 'INFERENCE_QUEUE_FULL');
    await reporter.close();
    await reporter.close();
    expect(stored.map((payload) => payload.windows.length)).toEqual([2, 1, 2]);
    // The release of the agent is in each of them, so that its time counts.
    for (const payload of stored)
      expect(payload.windows).toContainEqual(expect.objectContaining({ model: 'skerry-agent', version: 1, predictions: 0 }));
    expect(stored.map((payload) => payload.to - payload.from)).toEqual([60_000, 0, 0]);
    for (const payload of stored) {
      const parsed = telemetrySchema.parse({ ...payload, boot: 1, seq: 1 });
      expect(parsed.health).toMatchObject({ diskUsedBytes: 7 });
      expect(parsed.health.rssBytes).toBeGreaterThan(1e7);
    }
    expect(clock.pending).toBe(0);
  });

  test('19 G: windows are dated with the time the device knows, and are as long as they were when it hears what time it is', async () => {
    const said = Date.UTC(2026, 5, 1);
    let known = false;
    const { clock, reporter, stored } = setUp(
      () => true,
      (virtual) => (known ? { at: said + virtual.monotonic(), exact: true } : { at: 1_000, exact: false }),
    );
    await reporter.start();
    await clock.advance(60_000);
    await until('the first window', () => stored.length === 1);
    known = true;
    await clock.advance(60_000);
    await until('the second window', () => stored.length === 2);
    await reporter.close();
    expect(stored[0]).toMatchObject({ undated: true, to: 1_000 });
    expect(stored[1]).toMatchObject({ from: said + 60_000, to: said + 120_000 });
    expect(stored[1]).not.toHaveProperty('undated');
  });

  test('a clock set back makes no window that ends before it began', async () => {
    const { clock, reporter, stored } = setUp();
    await reporter.start();
    clock.setWallClock(0);
    await reporter.flush();
    expect(stored[0]?.to).toBe(stored[0]?.from);
    await reporter.close();
  });

  test('more models than a message holds go out in several', async () => {
    const { recorder, reporter, stored } = setUp();
    for (let model = 0; model < 300; model++) recorder.succeeded(target(`m${model}`), { queue: 0, compute: 1, total: 1 });
    await reporter.flush();
    expect(stored.length).toBeGreaterThan(1);
    expect(stored.flatMap((payload) => payload.windows)).toHaveLength(301);
  });
});
