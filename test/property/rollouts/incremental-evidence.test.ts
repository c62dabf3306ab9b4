import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EvidenceQuery } from '#hub/rollouts/evidence-source.js';
import { gateSchema } from '#hub/rollouts/gate-document.js';
import { TelemetryEvidence } from '#hub/rollouts/adapters/telemetry-evidence.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { type StorableRecord, storeBatch } from '#hub/telemetry/ingest-store.js';
import { readRecord } from '#hub/telemetry/record.js';
import { bucketOf } from '#hub/telemetry/roll-up.js';
import { modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { hours, minutes } from '#shared/kernel/time.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { CAPABILITIES, sketchOf, telemetryOf } from '../../kit/messages.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const BUCKET = minutes(5);
const NAMES = ['d0', 'd1', 'd2', 'd3', 'd4'].map((name) => deviceIdSchema.parse(name));
const GATES = [
  { gate: 'errors' },
  { gate: 'latency' },
  { gate: 'memory' },
  { gate: 'crashes' },
  { gate: 'drift' },
  { gate: 'golden' },
  { gate: 'limit', of: 'crashes', atMost: 1, ruleOut: 2 },
  { gate: 'burn', objective: 0.99 },
].map((gate) => gateSchema.parse(gate));

type Move =
  | {
      readonly kind: 'report';
      readonly device: number;
      readonly version: number;
      readonly ago: number;
      readonly values: readonly number[];
      readonly failed: number;
    }
  | { readonly kind: 'again' | 'look' | 'restart' | 'wave' }
  | { readonly kind: 'pass'; readonly minutes: number }
  | { readonly kind: 'tell' | 'install' | 'wait'; readonly device: number };

const device = fc.nat(NAMES.length - 1);
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      device,
      version: fc.constantFrom(1, 1, 2, 2, 3),
      // Minutes since it was measured: mostly none, sometimes it waited in the outbox.
      ago: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(45) }),
      values: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 4 }),
      failed: fc.nat(1),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('look' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('again' as const, 'restart' as const, 'wave' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('tell' as const, 'install' as const, 'wait' as const), device }) },
);

/** What one look gave. */
interface Look {
  readonly running: unknown;
  readonly anew: unknown;
  /** Failed predictions of the canary, by the running sums and by the reports. */
  readonly counted: number;
  readonly told: number;
}

/** A rollout's evidence over a real database, told what happens. */
class World {
  readonly clock = new VirtualClock();
  readonly looks: Look[] = [];
  readonly #db: Db;
  readonly #until = new Map<DeviceId, number>(NAMES.slice(0, 4).map((id) => [id, Number.POSITIVE_INFINITY]));
  readonly #canary = new Set<DeviceId>();
  readonly #waves: { from: number; lasts: number }[] = [];
  /** Failed predictions of the canary's version, by device and bucket. */
  readonly #failed: { readonly device: DeviceId; readonly bucket: number; readonly failed: number }[] = [];
  #evidence: TelemetryEvidence;
  #last: StorableRecord | undefined;
  #seq = 0;

  private constructor(db: Db) {
    this.#db = db;
    this.#evidence = this.#fresh();
  }

  static async open(): Promise<World> {
    const world = new World(await openDatabase(':memory:', silentLogger));
    for (const id of NAMES) await world.#enrol(id);
    for (let i = 0; i < 20; i++) {
      world.clock.setWallClock(world.clock.now() + minutes(3));
      await world.report(NAMES[i % NAMES.length] ?? NAMES[0], { version: 1, ago: 0, values: [i + 1, 20], failed: i % 2 });
    }
    world.begin();
    return world;
  }

  close(): Promise<void> {
    return this.#db.destroy();
  }

  async play(m: Move): Promise<void> {
    if (m.kind === 'report') await this.report(NAMES[m.device], m);
    else if (m.kind === 'again' && this.#last !== undefined) await this.#store(this.#last);
    else if (m.kind === 'look') await this.look();
    else if (m.kind === 'restart') this.#evidence = this.#fresh();
    else if (m.kind === 'wave') this.begin();
    else if (m.kind === 'pass') this.clock.setWallClock(this.clock.now() + minutes(m.minutes));
    else if ('device' in m) this.#group(m.kind, NAMES[m.device]);
  }

  begin(): void {
    this.#waves.push({ from: this.clock.now(), lasts: hours(2) });
    this.clock.setWallClock(this.clock.now() + 1);
  }

  /** Notes what the running sums say, what reading everything anew says, and what the reports said. */
  async look(): Promise<void> {
    const running = await this.#evidence.figures(this.#query());
    const anew = await this.#fresh().figures(this.#query());
    const errors = running.gates.find((gate) => gate.gate === 'errors');
    const from = this.#waves.at(-1)?.from ?? 0;
    const counted = this.#failed.filter(({ device: id, bucket }) => this.#canary.has(id) && bucket + BUCKET > from);
    const told = counted.reduce((sum, { failed }) => sum + failed, 0);
    this.looks.push({ running, anew, counted: errors?.kind === 'comparison' ? errors.events : 0, told });
  }

  async report(id: DeviceId | undefined, told: { version: number; ago: number; values: readonly number[]; failed: number }): Promise<void> {
    if (id === undefined) return;
    this.#seq += 1;
    const { version, ago, values, failed } = told;
    const to = this.clock.now() - minutes(ago);
    const message = telemetryOf(id, { seq: this.#seq, version, to, values, errors: failed > 0 ? { INFERENCE_FAILED: failed } : {} });
    const windows = message.windows.map((window) => ({
      ...window,
      crashes: failed,
      golden: { run: 3, wrong: failed },
      outputs: { y: { values: sketchOf(values), notFinite: 0 } },
    }));
    const record = readRecord('telemetry', id, encodeMessage('telemetry', { ...message, windows }));
    if (record.kind !== 'telemetry') throw new Error(`the record is ${record.kind}`);
    this.#last = record;
    await this.#store(record);
    if (version === 2) this.#failed.push({ device: id, bucket: bucketOf(to, BUCKET), failed });
  }

  #group(kind: 'tell' | 'install' | 'wait', id: DeviceId | undefined): void {
    if (id === undefined) return;
    if (kind === 'wait') this.#until.set(id, Number.POSITIVE_INFINITY);
    else if (kind === 'tell') this.#until.set(id, this.clock.now());
    else this.#canary.add(id);
  }

  #query(): EvidenceQuery {
    return {
      rollout: 'r',
      model: modelNameSchema.parse('vad'),
      version: versionNumberSchema.parse(2),
      waves: [...this.#waves],
      plan: [GATES, GATES],
      to: this.clock.now(),
      canary: () => [...this.#canary],
      control: () => new Map(this.#until),
      gates: GATES,
    };
  }

  #fresh(): TelemetryEvidence {
    return new TelemetryEvidence({ db: this.#db, clock: this.clock, bucket: BUCKET, refresh: 0 });
  }

  async #store(record: StorableRecord): Promise<void> {
    const widths = { model: minutes(1), device: BUCKET };
    await this.#db.transaction().execute((trx) => storeBatch(trx, [record], widths, this.clock.now()));
  }

  async #enrol(id: DeviceId): Promise<void> {
    const common = { device_labels: '{}', hub_labels: '{}', labels: '{}', capabilities: JSON.stringify(CAPABILITIES), agent_version: '0' };
    const keys = { public_key: id, password_sha256: '', password_mosquitto: '', token_id: 'test' };
    await this.#db
      .insertInto('devices')
      .values({ id, ...common, ...keys, enrolled_at: 0, revoked_at: null })
      .execute();
  }
}

describe('the evidence of a rollout, kept up with the database', () => {
  it('is what a full reading gives: for any order, late and repeated reports, restarts, waves and changing groups', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 10, maxLength: 60 }), async (moves) => {
        const world = await World.open();
        try {
          for (const m of moves) await world.play(m);
          await world.look();
          for (const { running, anew, counted, told } of world.looks) {
            expect(running).toEqual(anew);
            expect(counted).toBe(told);
          }
        } finally {
          await world.close();
        }
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});
