import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvidenceBook } from '#hub/rollouts/decide/evidence/book.js';
import type { Baseline, DeviceWindow, Group } from '#hub/rollouts/decide/evidence/window.js';
import type { WaveSpan } from '#hub/rollouts/decide/evidence/layout.js';
import { gateSchema } from '#hub/rollouts/gate-document.js';
import { SketchDistribution } from '#hub/rollouts/adapters/sketch-distribution.js';
import { hours, minutes } from '#shared/kernel/time.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { QuantileSketch } from '#shared/stats/sketch.js';

const GATES = [
  { gate: 'errors' },
  { gate: 'latency' },
  { gate: 'memory' },
  { gate: 'drift' },
  { gate: 'golden' },
  { gate: 'limit', of: 'crashes', atMost: 1, ruleOut: 2 },
  { gate: 'burn', objective: 0.99 },
].map((gate) => gateSchema.parse(gate));

const id = (name: string) => deviceIdSchema.parse(name);

function latencies(values: readonly number[]): SketchDistribution {
  const sketch = new QuantileSketch();
  for (const value of values) sketch.add(value);
  return new SketchDistribution(sketch);
}

const EVERYBODY = { has: () => true };

/** One wave of eight hours; windows are sorted into lanes as they come, and read again when one comes late. */
class TestBook {
  readonly #book: EvidenceBook;
  readonly #taken: { readonly window: DeviceWindow; readonly group: Group }[] = [];

  constructor(baselines: ReadonlyMap<string, Baseline> = new Map(), fleet?: Baseline) {
    this.#book = new EvidenceBook({ gates: GATES, planned: 1, baseline: (device) => baselines.get(device), fleet });
    this.#book.begin([{ from: 0, lasts: hours(8) }]);
  }

  begin(...waves: WaveSpan[]): void {
    this.#book.begin(waves);
  }

  add(window: DeviceWindow, group: Group): void {
    this.#taken.push({ window, group });
    const lane = this.#book.lane(window.device, group);
    if (this.#book.put(lane, window)) return;
    lane.clear();
    const own = this.#taken.filter((taken) => taken.group === group && taken.window.device === window.device);
    const newest = new Map(own.map((taken) => [taken.window.from, taken.window]));
    for (const again of [...newest.values()].toSorted((a, b) => a.from - b.from)) this.#book.put(lane, again);
  }

  figures(to: number) {
    return this.#book.figures({ to, canary: EVERYBODY, control: EVERYBODY });
  }
}

function book(baselines?: ReadonlyMap<string, Baseline>, fleet?: Baseline): TestBook {
  return new TestBook(baselines, fleet);
}

function windowFor(device: string, from: number, changes: Partial<DeviceWindow> = {}): DeviceWindow {
  return { device: id(device), from, length: minutes(5), tallies: { errors: { events: 1, exposure: 100 } }, ...changes };
}

describe('EvidenceBook', () => {
  it('gives the same figures whatever the order of the windows', () => {
    const entry = fc.tuple(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.constantFrom<Group>('canary', 'control'),
      fc.nat(95),
      fc.nat(9),
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 5 }),
    );
    fc.assert(
      fc.property(
        fc
          .uniqueArray(entry, { maxLength: 30, selector: ([device, group, at]) => `${device} ${group} ${at}` })
          .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const figures = (entries: typeof list): unknown => {
            const evidence = book();
            for (const [device, group, at, events, values] of entries) {
              const outputs = { y: [events, 9 - events] };
              evidence.add(
                windowFor(`${device}-${group}`, at * 300_000, {
                  tallies: { errors: { events, exposure: 100 }, golden: { events, exposure: 10 } },
                  values: { latency: latencies(values) },
                  outputs,
                }),
                group,
              );
            }
            return evidence.figures(28_800_000);
          };
          expect(figures(shuffled)).toEqual(figures(list));
        },
      ),
    );
  });

  it('says what was not reported', () => {
    const kinds = book()
      .figures(0)
      .gates.map((figures) => [figures.gate, figures.kind]);
    expect(kinds).toEqual([
      ['errors', 'missing'],
      ['latency', 'missing'],
      ['memory', 'missing'],
      ['drift', 'missing'],
      ['golden', 'missing'],
      ['limit:crashes', 'missing'],
      ['burn', 'burn'],
    ]);
  });

  it('expects more errors of a device that always had more', () => {
    const history = (events: number): Baseline => ({ tallies: { errors: { events, exposure: 10_000 } } });
    const evidence = book(new Map([['worse', history(400)]]), history(100));
    evidence.add(windowFor('worse', 0), 'canary');
    evidence.add(windowFor('new', 0), 'control');
    const [errors] = evidence.figures(0).gates;
    if (errors?.kind !== 'comparison') throw new Error('no comparison');
    const [stratum] = errors.tolerated.strata;
    expect(stratum?.canaryExposure).toBeCloseTo(100 * 3.857, 1);
    expect(stratum?.controlExposure).toBe(100);
    expect([errors.events, errors.exposure]).toEqual([1, 100]);
  });

  it("counts a device's latencies above its own quantile, stretched for the canary", () => {
    const own: Baseline = {
      tallies: { errors: { events: 0, exposure: 100 } },
      values: { latency: latencies(Array.from({ length: 100 }, (_, i) => i + 1)) },
    };
    const evidence = book(
      new Map([
        ['slow', own],
        ['same', own],
      ]),
    );
    evidence.add(windowFor('slow', 0, { values: { latency: latencies([50, 100, 120, 150, 200]) } }), 'canary');
    evidence.add(windowFor('same', 0, { values: { latency: latencies([50, 100, 120, 150, 200]) } }), 'control');
    const latency = evidence.figures(0).gates[1];
    if (latency?.kind !== 'comparison') throw new Error('no comparison');
    expect(latency.tolerated.strata).toEqual([{ canaryEvents: 3, canaryExposure: 5, controlEvents: 4, controlExposure: 5 }]);
    expect(latency.ruledOut.strata).toEqual([{ canaryEvents: 2, canaryExposure: 5, controlEvents: 4, controlExposure: 5 }]);
  });

  it('leaves the worst canary device out once there are three', () => {
    const evidence = book();
    for (const [device, events] of [
      ['a', 1],
      ['b', 50],
      ['c', 2],
    ] as const)
      evidence.add(windowFor(device, 0, { tallies: { errors: { events, exposure: 100 } } }), 'canary');
    evidence.add(windowFor('z', 0), 'control');
    const [errors] = evidence.figures(0).gates;
    if (errors?.kind !== 'comparison') throw new Error('no comparison');
    expect(errors.tolerated.withoutWorst?.[0]).toEqual({ canaryEvents: 3, canaryExposure: 200, controlEvents: 1, controlExposure: 100 });
  });

  it('carries what shows harm through the waves, and asks each for its own that it is good enough', () => {
    const evidence = book();
    for (const device of ['a', 'b', 'c']) evidence.add(windowFor(device, 0), 'canary');
    evidence.add(windowFor('z', 0), 'control');
    evidence.begin({ from: 0, lasts: hours(8) }, { from: 3 * 3_600_000, lasts: hours(8) });
    for (const device of ['a', 'd']) evidence.add(windowFor(device, hours(3)), 'canary');
    evidence.add(windowFor('z', hours(3)), 'control');
    const { evidence: own, gates } = evidence.figures(hours(4));
    const [errors] = gates;
    if (errors?.kind !== 'comparison') throw new Error('no comparison');
    const stratum = (canary: number) => ({ canaryEvents: canary, canaryExposure: canary * 100, controlEvents: 1, controlExposure: 100 });
    expect(errors.tolerated.strata).toEqual([stratum(3), stratum(2)]);
    expect(errors.ruledOut.strata).toEqual([stratum(2)]);
    expect([own, errors.events, errors.exposure]).toEqual([{ predictions: 200, devices: 2 }, 2, 200]);
  });

  it('compares devices that ran the version for a while on their own', () => {
    const evidence = book();
    evidence.add(windowFor('old', 0), 'canary');
    evidence.add(windowFor('old', hours(4), { tallies: { errors: { events: 9, exposure: 100 } } }), 'canary');
    evidence.add(windowFor('new', hours(4)), 'canary');
    evidence.add(windowFor('z', hours(4)), 'control');
    const [errors] = evidence.figures(hours(5)).gates;
    if (errors?.kind !== 'comparison') throw new Error('no comparison');
    const aged = errors.aged?.map(({ strata }) => strata.filter((stratum) => stratum.canaryExposure > 0));
    const alone = [{ canaryEvents: 9, canaryExposure: 100, controlEvents: 1, controlExposure: 100 }];
    expect(aged).toEqual([alone, alone, []]);
  });
});
