import { decode, encode } from 'cborg';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeTelemetry } from '#agent/store/worker/coarsen.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { telemetrySchema, windowSchema } from '#shared/protocol/messages.js';
import type { Form } from '#shared/signals/form.js';
import { MAX_ERROR_CODES, OUTPUTS_PER_WINDOW, ROWS } from '#shared/signals/rows.js';
import type { Signal } from '#shared/signals/signal.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { telemetryOf } from '../../kit/messages.js';

const number = fc.double({ min: -1e9, max: 1e9, noNaN: true });
/** Fewer than a sum may hold: beyond that it matters which name came first. */
const code = fc.constantFrom('INFERENCE_TIMEOUT', 'TENSOR_SHAPE', 'OTHER', 'x');
const name = fc.constantFrom('y', 'z', 'fps');

/** One measurement that a form takes. */
function observed(form: Form): fc.Arbitrary<unknown> {
  if (form.kind === 'count') return fc.nat(1_000);
  if (form.kind === 'codes') return code;
  if (form.kind === 'distribution') return number;
  if (form.kind === 'named') return fc.record({ name, observed: observed(form.each ?? form) });
  if (form.kind === 'members') {
    const members = Object.keys(form.pack(form.empty()) as object);
    return fc.record(Object.fromEntries(members.map((member) => [member, MEMBERS_WITH_VALUES.has(member) ? number : fc.nat(1_000)])));
  }
  throw new Error(`no measurements of the form ${form.kind}`);
}
const MEMBERS_WITH_VALUES = new Set(['maxError', 'cost', 'values']);

const summed = SIGNALS.rows.filter((row) => row.of !== 'device' || row.summed);

/** Sums of any signals, from few measurements. */
const measurements = fc.array(
  fc.constantFrom(...summed).chain((signal) => observed(signal.form).map((value) => ({ signal, value }))),
  { maxLength: 24 },
);

function sumsOf(list: readonly { readonly signal: Signal; readonly value: unknown }[]): Sums {
  const sums = new Sums(SIGNALS);
  for (const { signal, value } of list) sums.add(signal, value);
  return sums;
}

function merged(...parts: readonly Sums[]): string {
  const sums = new Sums(SIGNALS);
  for (const part of parts) sums.merge(part);
  return sums.store().toString('hex');
}

/** The same sums, from the store: nothing is unpacked yet. */
function stored(sums: Sums): Sums {
  return Sums.stored(SIGNALS, sums.store());
}

describe('the table of signals', () => {
  it('has rows whose names and members are their own, and families whose help is one', () => {
    for (const [key, row] of Object.entries(ROWS)) expect(row.name).toBe(key);
    for (const whose of ['version', 'device'] as const) {
      const fields = SIGNALS.of(whose).map(({ field }) => field);
      expect(new Set(fields).size).toBe(fields.length);
    }
    expect(new Set(SIGNALS.gates.map(([gate]) => gate)).size).toBe(SIGNALS.gates.length);
    for (const side of ['agent', 'hub'] as const) {
      const help = new Map<string, string>();
      for (const exported of SIGNALS.rows.flatMap((row) => row[side] ?? [])) {
        expect(exported.name).toMatch(side === 'hub' ? /^skerry_hub_[a-z_]+$/ : /^(skerry|process)_[a-z0-9_]+$/);
        expect(help.get(exported.name) ?? exported.help).toBe(exported.help);
        help.set(exported.name, exported.help);
      }
    }
  });

  it('merges in any order and in any grouping, unpacked or from the store', () => {
    fc.assert(
      fc.property(measurements, measurements, measurements, (one, two, three) => {
        const [a, b, c] = [sumsOf(one), sumsOf(two), sumsOf(three)];
        const whole = merged(a, b, c);
        expect(merged(c, b, a)).toBe(whole);
        expect(merged(stored(b), c, stored(a))).toBe(whole);
        const right = sumsOf([]);
        right.merge(b);
        right.merge(stored(c));
        expect(merged(a, right)).toBe(whole);
        expect(merged(sumsOf([...one, ...two, ...three]))).toBe(whole);
      }),
    );
  });

  it('keeps totals when windows are coarsened', () => {
    fc.assert(
      fc.property(measurements, measurements, (one, two) => {
        const windows = [one, two].map((list) => sumsOf(list.filter(({ signal }) => signal.of === 'version')));
        const [older, newer] = windows.map((sums, i) => {
          const message = telemetryOf('d1', { seq: i + 1, values: [], to: 60_000 * (i + 1) });
          const named = message.windows.map(({ model, version, variant, provider }) => ({ model, version, variant, provider }));
          return encode({ ...message, windows: named.map((window) => ({ ...window, ...sums.toWindow() })) });
        });
        const bytes = mergeTelemetry(older ?? new Uint8Array(), newer ?? new Uint8Array());
        const coarse = telemetrySchema.parse(decoded(bytes)).windows.map((window) => Sums.ofWindow(SIGNALS, window));
        expect(coarse).toHaveLength(1);
        const required = Sums.ofWindow(SIGNALS, new Sums(SIGNALS).toWindow());
        expect(merged(...coarse)).toBe(merged(...windows, required));
      }),
    );
  });

  it('reads a window that lacks signals, and keeps the ones of a later release', () => {
    const [window] = telemetryOf('d1', { seq: 1, values: [1] }).windows;
    const optional = SIGNALS.of('version').filter((row) => !row.required);
    expect(optional.length).toBeGreaterThan(3);
    for (const { field } of optional) expect(window).not.toHaveProperty(field);
    expect(windowSchema.parse(window)).toEqual(window);
    const later = { ...window, joules: 3 };
    expect(windowSchema.parse(later)).toEqual(later);
    expect(Sums.ofWindow(SIGNALS, later).toWindow()).toEqual(Sums.ofWindow(SIGNALS, window ?? {}).toWindow());
    const packed = Sums.stored(SIGNALS, encode({ crashes: 2, joules: 3 }));
    packed.merge(sumsOf([{ signal: ROWS.crashes, value: 1 }]));
    expect(decoded(packed.store())).toEqual({ crashes: 3, joules: 3 });
  });

  it('bounds what one sender can make a sum hold', () => {
    const sums = new Sums(SIGNALS);
    for (let i = 0; i < 500; i++) {
      sums.add(ROWS.errors, `CODE_${i}`);
      sums.add(ROWS.outputs, { name: `out-${i}`, observed: { values: 1 } });
    }
    const errors = sums.of(ROWS.errors) ?? new Map<string, number>();
    expect(errors.size).toBe(MAX_ERROR_CODES + 1);
    expect([...errors.values()].reduce((a, b) => a + b, 0)).toBe(500);
    expect(sums.of(ROWS.outputs)?.size).toBe(OUTPUTS_PER_WINDOW);
    expect(() => encodeMessage('telemetry', { ...telemetryOf('d1', { seq: 1, values: [1] }), windows: [] })).not.toThrow();
  });
});

function decoded(bytes: Uint8Array | undefined): unknown {
  return decode(bytes ?? new Uint8Array());
}
