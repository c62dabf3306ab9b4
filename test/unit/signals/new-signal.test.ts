import { decode } from 'cborg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentTarget } from '#agent/metrics/agent-target.js';
import { metricFamilies } from '#agent/metrics/families.js';
import { HealthMonitor } from '#agent/metrics/health.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { type TelemetryPayload, TelemetryReporter } from '#agent/metrics/reporter.js';
import { mergeTelemetry } from '#agent/store/worker/coarsen.js';
import { signalRows } from '#hub/cli/signal-rows.js';
import { TelemetryEvidence } from '#hub/rollouts/adapters/telemetry-evidence.js';
import { evaluateGate } from '#hub/rollouts/decide/gates/evaluate.js';
import { gateSchema, gateSchemaOf } from '#hub/rollouts/gate-document.js';
import type { Db } from '#hub/store/database.js';
import { openDatabase } from '#hub/store/open.js';
import { fleetMetrics } from '#hub/telemetry/fleet-metrics.js';
import { IngestFigures } from '#hub/telemetry/ingest-figures.js';
import { type StorableRecord, storeBatch } from '#hub/telemetry/ingest-store.js';
import { MetricsQuery } from '#hub/telemetry/metrics-query.js';
import { readRecord } from '#hub/telemetry/record.js';
import { renderMetrics } from '#shared/kernel/exposition.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { hours, minutes } from '#shared/kernel/time.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { histogram, sketch } from '#shared/signals/distributions.js';
import { count } from '#shared/signals/form.js';
import { optional, type Signal } from '#shared/signals/signal.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS, SignalTable } from '#shared/signals/table.js';
import { CAPABILITIES } from '../../kit/messages.js';
import { SeededRandom } from '../../kit/random.js';
import { modelName, versionNumber } from '../../kit/servables.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

// Two rows that the product does not have, in a table made as its own is made. Nothing else of the product knows of them.

const energyRow = optional('joules', sketch, {
  help: 'energy of one prediction',
  unit: 'any unit',
  total: histogram([1, 10, 100]),
  gate: { test: 'quantile', quantile: 0.9, harm: 'more', tolerate: 1.2, ruleOut: 1.5 },
  agent: [{ name: 'skerry_prediction_joules', type: 'histogram', help: 'Energy of predictions.' }],
  hub: [{ name: 'skerry_hub_prediction_joules_recent', type: 'summary', help: 'Energy of recent predictions.' }],
});
const energy = { ...energyRow, name: 'energy' };
const stallRow = optional('stalls', count, {
  help: 'stalls of the accelerator',
  unit: 'events',
  rate: { what: 'stalls per device hour', per: 'hour' },
  agent: [{ name: 'skerry_stalls_total', type: 'counter', help: 'Stalls of the accelerator.' }],
  hub: [{ name: 'skerry_hub_stalls_total', type: 'counter', help: 'Stalls of accelerators.' }],
});
const stalls = { ...stallRow, name: 'stalls' };
const added: readonly Signal[] = [energy, stalls];
const table = new SignalTable([...SIGNALS.rows, ...added]);

const BUCKET = minutes(5);
const CANARY = ['c0', 'c1', 'c2', 'c3'].map((name) => deviceIdSchema.parse(name));
const CONTROL = ['o0', 'o1', 'o2', 'o3'].map((name) => deviceIdSchema.parse(name));

/** A device that measures, and says what its telemetry is. */
class Device {
  readonly recorder = new MetricsRecorder(table);
  readonly #sent: TelemetryPayload[] = [];
  readonly #reporter: TelemetryReporter;
  #seq = 0;

  constructor(id: DeviceId, clock: VirtualClock) {
    this.#reporter = new TelemetryReporter({
      device: id,
      recorder: this.recorder,
      health: new HealthMonitor({ diskUsed: () => Promise.resolve(7) }),
      append: (payload) => Promise.resolve(void this.#sent.push(payload)),
      agent: () => agentTarget(undefined),
      clock,
      time: () => ({ at: clock.now(), exact: true }),
      window: minutes(1),
      logger: silentLogger,
    });
  }

  predict(version: number, joules: readonly number[]): void {
    const target = { model: modelName('vad'), version: versionNumber(version), variant: 'fp32', provider: 'cpu' };
    for (const value of joules) {
      this.recorder.succeeded(target, { queue: 0, compute: 1, total: 1 });
      this.recorder.note(target, energy, value);
    }
    this.recorder.note(target, stalls, 1);
  }

  /** The message of the window that ends now. */
  async report(): Promise<Uint8Array> {
    await this.#reporter.flush();
    const payload = this.#sent.at(-1);
    if (payload === undefined) throw new Error('nothing was reported');
    return encodeMessage('telemetry', { ...payload, boot: 1, seq: ++this.#seq });
  }
}

let db: Db;
const clock = new VirtualClock(Date.UTC(2026, 0, 1));
const devices = new Map([...CANARY, ...CONTROL].map((id) => [id, new Device(id, clock)]));
const begun = clock.now() + hours(1);

/** Every device reports, the canary with the energy of the new version once the rollout began. */
async function live(until: number, energyOf: (id: DeviceId) => number): Promise<void> {
  const random = new SeededRandom(7);
  while (clock.now() < until) {
    await clock.advance(BUCKET);
    const records: StorableRecord[] = [];
    for (const [id, device] of devices) {
      const version = clock.now() > begun && CANARY.includes(id) ? 2 : 1;
      device.predict(
        version,
        Array.from({ length: 40 }, () => energyOf(id) * Math.exp(0.3 * random.normal())),
      );
      const record = readRecord('telemetry', id, await device.report(), table);
      if (record.kind !== 'telemetry') throw new Error(`the record is ${record.kind}`);
      records.push(record);
    }
    await db.transaction().execute((trx) => storeBatch(trx, records, { model: minutes(1), device: BUCKET }, clock.now()));
  }
}

beforeAll(async () => {
  db = await openDatabase(':memory:', silentLogger);
  for (const id of devices.keys()) {
    const labels = { device_labels: '{}', hub_labels: '{}', labels: '{}' };
    const keys = { public_key: id, password_sha256: '', password_mosquitto: '', token_id: 'test' };
    await db
      .insertInto('devices')
      .values({ id, ...labels, ...keys, capabilities: JSON.stringify(CAPABILITIES), agent_version: '0', enrolled_at: 0, revoked_at: null })
      .execute();
  }
  await live(begun, () => 10);
  await live(begun + hours(1), (id) => (CANARY.includes(id) ? 20 : 10));
});
afterAll(() => db.destroy());

describe('a signal that one row adds', () => {
  it('is in what the device reports, and in what it coarsens', async () => {
    const device = new Device(deviceIdSchema.parse('alone'), clock);
    device.predict(1, [1, 2, 3]);
    const first = await device.report();
    device.predict(1, [4]);
    const second = await device.report();
    const sums = (bytes: Uint8Array | undefined) => {
      const { windows } = decode(bytes ?? new Uint8Array()) as TelemetryPayload;
      const window = windows.find(({ model }) => model === 'vad');
      return Sums.ofWindow(table, window ?? {});
    };
    expect(sums(first).of(energy)?.count).toBe(3);
    const merged = sums(mergeTelemetry(first, second, table));
    expect([merged.of(energy)?.sum, merged.of(stalls)]).toEqual([10, 2]);
  });

  it('is in the metrics of the device and of the hub', async () => {
    const [device] = devices.values();
    const nothing = {
      build: {},
      refused: new Map(),
      requests: [],
      servables: [],
      routed: [],
      memory: undefined,
      outbox: undefined,
      link: undefined,
      health: undefined,
    };
    const agent = renderMetrics(metricFamilies({ ...nothing, totals: device?.recorder.totals() ?? [] }, table));
    expect(agent).toMatch(/skerry_prediction_joules_bucket\{model="vad",version="1",variant="fp32",provider="cpu",le="100"\} \d+/);
    expect(agent).toMatch(/skerry_stalls_total\{model="vad",version="1",variant="fp32",provider="cpu"\} 12/);
    const query = new MetricsQuery(db, { model: minutes(1), device: BUCKET }, table);
    const ingest = { figures: new IngestFigures(), queued: { records: 0, bytes: 0 } };
    const hub = renderMetrics(await fleetMetrics({ db, clock, query, ingest, signals: table }));
    expect(hub).toContain('skerry_hub_stalls_total{model="vad",version="2"} 48');
    expect(hub).toMatch(/skerry_hub_prediction_joules_recent\{model="vad",version="2",quantile="0.5"\} (19|20)/);
  });

  it("is in the hub's figures and in skerry metrics", async () => {
    const query = new MetricsQuery(db, { model: minutes(1), device: BUCKET }, table);
    const versions = await query.model('vad', { since: 0 });
    expect(versions.map(({ signals }) => signals)).toMatchObject([{ energy: { count: 5_760 } }, { energy: { count: 1_920 } }]);
    const rows = signalRows(table, versions, new Set());
    expect(rows).toContainEqual({ version: 2, signal: 'stalls', figures: '48' });
    expect(rows.find(({ signal, version }) => signal === 'energy' && version === 2)?.figures).toMatch(/^p50 \d/);
  });

  it('has a gate that fails because of it, and one that limits it', async () => {
    const gates = [{ gate: 'energy' }, { gate: 'limit', of: 'stalls', atMost: 1, ruleOut: 100 }].map((gate) =>
      gateSchemaOf(table).parse(gate),
    );
    const evidence = new TelemetryEvidence({ db, clock, bucket: BUCKET, refresh: 0, signals: table });
    const { gates: figures } = await evidence.figures({
      rollout: 'r',
      model: modelName('vad'),
      version: versionNumber(2),
      waves: [{ from: begun, lasts: hours(2) }],
      plan: [gates],
      to: clock.now(),
      canary: () => CANARY,
      control: () => new Map(CONTROL.map((id) => [id, Number.POSITIVE_INFINITY])),
      gates,
    });
    const results = gates.map((gate, i) => evaluateGate(gate, figures[i], { alarm: 0.001, miss: 0.05 }, table));
    expect(results.map(({ gate, outcome }) => [gate, outcome])).toEqual([
      ['energy', 'fail'],
      ['limit:stalls', 'fail'],
    ]);
    expect(results[0]?.reason).toContain('quantile of energy');
  });

  it('does not exist for a hub without the row, which takes the rest and keeps what was stored', async () => {
    const device = new Device(CONTROL[0] ?? deviceIdSchema.parse('o0'), clock);
    device.predict(1, [1]);
    const record = readRecord('telemetry', deviceIdSchema.parse('o0'), await device.report());
    expect(record).toMatchObject({ kind: 'telemetry' });
    const [first] = await new MetricsQuery(db, { model: minutes(1), device: BUCKET }).model('vad', { since: 0 });
    expect(first?.predictions).toBeGreaterThan(0);
    expect(first?.signals).not.toHaveProperty('energy');
    expect(gateSchema.safeParse({ gate: 'energy' }).success).toBe(false);
  });
});
