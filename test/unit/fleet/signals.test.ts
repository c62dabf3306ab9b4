import { expect, it } from 'vitest';
import { mergeTelemetry } from '#agent/store/worker/coarsen.js';
import { emptyMeasure, measureColumns, mergeMeasure, readMeasure } from '#hub/telemetry/measure.js';
import { type IngestRecord, readRecord } from '#hub/telemetry/record.js';
import { outputBins } from '#hub/telemetry/signals.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import type { MetricsWindow, Telemetry } from '#shared/protocol/messages.js';
import { kolmogorovSmirnov } from '#shared/stats/drift.js';
import { sketchOf, telemetryOf } from '../../kit/messages.js';

const device = deviceIdSchema.parse('d1');

function message(seq: number, extra: Partial<MetricsWindow>, health: Partial<Telemetry['health']> = {}): Telemetry {
  const plain = telemetryOf('d1', { seq, values: [1, 2], to: seq * 10_000 });
  return {
    ...plain,
    windows: plain.windows.map((window) => ({ ...window, ...extra })),
    health: { ...plain.health, ...health },
  };
}
function measureOf(record: IngestRecord) {
  if (record.kind !== 'telemetry') throw new Error(`the hub read it as ${record.kind}`);
  const sum = emptyMeasure();
  for (const { measure } of record.windows) mergeMeasure(sum, measure);
  return sum;
}
const shadow = { compared: 3, disagreed: 1, dropped: 2, maxError: sketchOf([0.1, 0.2, 5]), cost: sketchOf([4, 5, 6]) };
const first = message(
  1,
  {
    role: 'shadow',
    crashes: 1,
    golden: { run: 2, wrong: 1 },
    shadow,
    metrics: { fps: sketchOf([30]) },
    outputs: { y: { values: sketchOf([0.5, -2]), notFinite: 1 } },
  },
  { rssBytes: 100, temperatureC: 20 },
);
const second = message(
  2,
  { role: 'shadow', feedback: { total: 4, wrong: 1 }, shadow, metrics: { fps: sketchOf([10]), lag: sketchOf([1]) } },
  { rssBytes: 300 },
);

it('keeps what windows say through columns and sums, and leaves unsaid what nobody said', () => {
  const sum = emptyMeasure();
  for (const one of [first, second]) mergeMeasure(sum, measureOf(readRecord('telemetry', device, encodeMessage('telemetry', one))));
  const { signals } = readMeasure(measureColumns(sum));
  expect(signals).toMatchObject({ exposure: 20_000, crashes: 1, golden: { run: 2, wrong: 1 }, feedback: { total: 4, wrong: 1 } });
  expect(signals.shadow).toMatchObject({ compared: 6, disagreed: 2, dropped: 4 });
  expect(signals.shadow?.maxError.max).toBe(5);
  expect([signals.memory.max, signals.memory.count, signals.temperature.max]).toEqual([300, 2, 293.15]);
  expect([...signals.metrics].map(([name, { count }]) => [name, count])).toEqual([
    ['fps', 2],
    ['lag', 1],
  ]);
  expect(readMeasure(measureColumns(emptyMeasure())).signals).toMatchObject({ golden: undefined, feedback: undefined, shadow: undefined });
  expect(measureColumns(emptyMeasure()).signals).toBeNull();
});

it('says the same of windows a device merged for space', () => {
  const merged = mergeTelemetry(encodeMessage('telemetry', first), encodeMessage('telemetry', second));
  const { signals } = measureOf(readRecord('telemetry', device, merged ?? new Uint8Array()));
  expect(signals).toMatchObject({ exposure: 20_000, crashes: 1, golden: { run: 2, wrong: 1 }, feedback: { total: 4, wrong: 1 } });
  expect(signals.shadow).toMatchObject({ compared: 6, disagreed: 2, dropped: 4 });
  expect(signals.metrics.get('fps')?.count).toBe(2);
  expect(signals.outputs.get('y')).toMatchObject({ notFinite: 1 });
});

it('does not mix what a version did as a shadow with what it answered', () => {
  const served = message(2, { role: 'serving' });
  const merged = readRecord(
    'telemetry',
    device,
    mergeTelemetry(encodeMessage('telemetry', first), encodeMessage('telemetry', served)) ?? new Uint8Array(),
  );
  expect(merged.kind === 'telemetry' && merged.message.windows.map(({ role }) => role)).toEqual(['shadow', 'serving']);
});

it('counts outputs in bins that are the same for every version', () => {
  const of = (values: readonly number[], notFinite = 0) => {
    const sum = measureOf(
      readRecord('telemetry', device, encodeMessage('telemetry', message(1, { outputs: { y: { values: sketchOf(values), notFinite } } }))),
    );
    return outputBins(sum.signals, ['y']);
  };
  const [a, b, c] = [of([0.1, 0.2, 0.9, -3]), of([0.1, 0.2, 0.9, -3]), of([10, 20, 90, 300], 4)];
  expect(a.length).toBe(c.length);
  expect(kolmogorovSmirnov(a, b)).toBe(0);
  expect(kolmogorovSmirnov(a, c)).toBe(1);
});

it('refuses counts no window can have', () => {
  const record = readRecord('telemetry', device, encodeMessage('telemetry', message(1, { feedback: { total: 2_000_000_000, wrong: 0 } })));
  expect(record).toMatchObject({ kind: 'refused', at: { boot: 1, seq: 1 } });
});
