import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IngestRecord, readRecord } from '#hub/telemetry/record.js';
import { rollUp } from '#hub/telemetry/roll-up.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { telemetryOf } from '../../kit/messages.js';

type TelemetryRecord = Extract<IngestRecord, { kind: 'telemetry' }>;

const records = fc.array(
  fc.record({ device: fc.constantFrom('d1', 'd2'), version: fc.constantFrom(1, 2), to: fc.nat(400_000), values: fc.array(fc.nat(1_000)) }),
  { maxLength: 20 },
);

describe('rollUp', () => {
  it('gives the same sums in one batch or in many, in any order', () => {
    fc.assert(
      fc.property(records, fc.nat(20), (list, cut) => {
        const prepared = list.map(({ device, version, to, values }, seq) => read(device, { seq: seq + 1, version, to, values }));
        const sums = (parts: readonly (readonly TelemetryRecord[])[]): Map<string, string> => {
          const all = new Map<string, Sums>();
          for (const part of parts) {
            for (const { key, sums: added } of rollUp(part, { model: 60_000, device: 300_000 }, 300_000, () => 0).models) {
              const id = JSON.stringify(key);
              const known = all.get(id) ?? new Sums(SIGNALS);
              all.set(id, known);
              known.merge(Sums.stored(SIGNALS, added.store()));
            }
          }
          return new Map([...all].map(([id, sum]) => [id, Buffer.from(sum.store()).toString('hex')]));
        };
        const once = sums([prepared]);
        const twice = sums([prepared.slice(cut).toReversed(), prepared.slice(0, cut)]);
        expect(twice).toEqual(once);
      }),
    );
  });

  it('puts a window that ends in the future into the bucket of now', () => {
    const { models } = rollUp(
      [read('d1', { seq: 1, version: 1, to: 10_000_000, values: [1] })],
      { model: 1_000, device: 1_000 },
      5_500,
      () => 0,
    );
    expect(models[0]?.key.bucket).toBe(5_000);
  });

  it('19 G: counts a window as received when its device cannot date it, or dates it long before it was enrolled', () => {
    const now = Date.UTC(2026, 5, 1);
    const enrolled = now - 30 * 86_400_000;
    const buckets = (to: number, undated?: boolean): number | undefined => {
      const record = read('d1', { seq: 1, version: 1, to, values: [1] });
      const message = undated === undefined ? record.message : { ...record.message, undated };
      return rollUp([{ ...record, message }], { model: 1_000, device: 1_000 }, now, () => enrolled).models[0]?.key.bucket;
    };
    expect(buckets(now - 2_000 * 86_400_000)).toBe(now);
    expect(buckets(0)).toBe(now);
    expect(buckets(now - 7 * 86_400_000, true)).toBe(now);
    expect(buckets(now - 7 * 86_400_000)).toBe(now - 7 * 86_400_000);
  });
});

function read(device: string, options: Parameters<typeof telemetryOf>[1]): TelemetryRecord {
  const id = deviceIdSchema.parse(device);
  const record = readRecord('telemetry', id, encodeMessage('telemetry', telemetryOf(device, options)));
  if (record.kind !== 'telemetry') throw new Error(record.kind);
  return record;
}
