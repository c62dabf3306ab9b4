import { expect, it } from 'vitest';
import { mergeTelemetry } from '#agent/store/worker/coarsen.js';
import { outputBins } from '#hub/telemetry/output-bins.js';
import { readRecord } from '#hub/telemetry/record.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import type { MetricsWindow, Telemetry } from '#shared/protocol/messages.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
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
/** What the hub makes of messages, after they were in its store. */
function stored(...messages: readonly Uint8Array[]): Sums {
  const sums = new Sums(SIGNALS);
  for (const bytes of messages) {
    const record = readRecord('telemetry', device, bytes);
    if (record.kind !== 'telemetry') throw new Error(`the hub read it as ${record.kind}`);
    for (const window of record.windows) sums.merge(Sums.stored(SIGNALS, window.sums.store()));
  }
  return Sums.stored(SIGNALS, sums.store());
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

const counted = { compared: 6, disagreed: 2, dropped: 4 };

it('keeps what windows say through the store, and leaves unsaid what nobody said', () => {
  const sums = stored(...[first, second].map((one) => encodeMessage('telemetry', one)));
  expect([ROWS.watched, ROWS.crashes, ROWS.golden, ROWS.feedback].map((signal) => sums.of<unknown>(signal))).toEqual([
    20_000,
    1,
    { run: 2, wrong: 1 },
    { total: 4, wrong: 1 },
  ]);
  expect(sums.of(ROWS.shadow)).toMatchObject(counted);
  expect(sums.of(ROWS.shadow)?.maxError.max).toBe(5);
  expect([sums.of(ROWS.memory)?.max, sums.of(ROWS.memory)?.count, sums.of(ROWS.temperature)?.max]).toEqual([300, 2, 293.15]);
  expect([...(sums.of(ROWS.metric) ?? [])].map(([name, { count }]) => [name, count])).toEqual([
    ['fps', 2],
    ['lag', 1],
  ]);
  const plain = stored(encodeMessage('telemetry', message(1, {})));
  expect([ROWS.golden, ROWS.feedback, ROWS.shadow, ROWS.crashes].map((signal) => sums.of<unknown>(signal) !== undefined)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect([ROWS.golden, ROWS.feedback, ROWS.shadow, ROWS.crashes].map((signal) => plain.of<unknown>(signal))).toEqual(
    Array(4).fill(undefined),
  );
});

it('says the same of windows a device merged for space', () => {
  const merged = mergeTelemetry(encodeMessage('telemetry', first), encodeMessage('telemetry', second)) ?? new Uint8Array();
  const sums = stored(merged);
  expect([ROWS.watched, ROWS.crashes, ROWS.golden, ROWS.feedback].map((signal) => sums.of<unknown>(signal))).toEqual([
    20_000,
    1,
    { run: 2, wrong: 1 },
    { total: 4, wrong: 1 },
  ]);
  expect(sums.of(ROWS.shadow)).toMatchObject(counted);
  expect(sums.of(ROWS.metric)?.get('fps')?.count).toBe(2);
  expect(sums.of(ROWS.outputs)?.get('y')).toMatchObject({ notFinite: 1 });
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
    const sums = stored(encodeMessage('telemetry', message(1, { outputs: { y: { values: sketchOf(values), notFinite } } })));
    const output = sums.of(ROWS.outputs)?.get('y');
    if (output === undefined) throw new Error('no output');
    return outputBins(output);
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
