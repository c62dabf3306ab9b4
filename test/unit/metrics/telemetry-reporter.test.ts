import { expect, test } from 'vitest';
import { agentTarget } from '#agent/metrics/agent-target.js';
import { HealthMonitor } from '#agent/metrics/health.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { type TelemetryPayload, TelemetryReporter } from '#agent/metrics/reporter.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { recordingLogger } from '../../kit/recorder.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

test('a window that cannot be closed is told, costs no prediction, and the next one is closed in its turn', async () => {
  const clock = new VirtualClock();
  const recorder = new MetricsRecorder();
  const { logger, lines } = recordingLogger();
  const stored: TelemetryPayload[] = [];
  let broken = true;
  const reporter = new TelemetryReporter({
    device: deviceIdSchema.parse('dev-1'),
    recorder,
    health: new HealthMonitor({ diskUsed: () => Promise.resolve(7) }),
    append: (payload) => {
      stored.push(payload);
      return Promise.resolve();
    },
    agent: () => {
      if (broken) throw new Error('not known yet');
      return agentTarget(undefined);
    },
    clock,
    time: () => ({ at: clock.now(), exact: true }),
    window: 60_000,
    logger,
  });
  await reporter.start();
  const target = { model: modelName('m'), version: versionNumber(1), variant: 'v', provider: 'cpu' };
  recorder.succeeded(target, { queue: 1, compute: 1, total: 2 });
  await clock.advance(60_000);
  await expect.poll(() => lines.length).toBe(1);
  broken = false;
  await expect.poll(() => clock.pending).toBe(1);
  await clock.advance(60_000);
  await expect.poll(() => stored.flatMap((payload) => payload.windows).find(({ model }) => model === 'm')?.predictions).toBe(1);
  await reporter.close();
});
