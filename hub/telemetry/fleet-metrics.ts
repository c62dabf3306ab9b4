import type { MetricFamily } from '#shared/kernel/exposition.js';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { type Labelled, signalFamilies } from '#shared/signals/exposition.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import type { Ingest } from './ingest.js';
import type { MetricsQuery } from './metrics-query.js';

interface FleetMetricsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly ingest: Pick<Ingest, 'figures' | 'queued'>;
  readonly query: MetricsQuery;
  readonly signals?: SignalTable;
  /** Time that quantiles look back (default 10 minutes). */
  readonly recent?: Millis;
}

/** What the fleet looks like to Prometheus: devices by presence, what they counted since ever, and the signals with quantiles of late. */
export async function fleetMetrics(deps: FleetMetricsDeps): Promise<readonly MetricFamily[]> {
  const table = deps.signals ?? SIGNALS;
  const rows = await deps.db.selectFrom('metrics_total').selectAll().orderBy('model').orderBy('version').execute();
  const totals = rows.map(({ model, version, signals }) => labelled(model, version, Sums.stored(table, signals)));
  const recent = await recentSums(deps, [...new Set(rows.map(({ model }) => model))]);
  return [
    await devicesByPresence(deps.db),
    ...signalFamilies(table.rows, 'hub', totals, ({ type }) => type === 'counter'),
    ...signalFamilies(table.rows, 'hub', recent, ({ type }) => type !== 'counter'),
    ...deps.ingest.figures.families(deps.ingest.queued),
  ];
}

async function devicesByPresence(db: Db): Promise<MetricFamily> {
  const rows = await db
    .selectFrom('device_states')
    .innerJoin('devices', 'devices.id', 'device_states.device')
    .select((eb) => ['presence', eb.fn.countAll().as('count')])
    .where('revoked_at', 'is', null)
    .groupBy('presence')
    .execute();
  const counts = new Map(rows.map((row) => [row.presence ?? 'never', Number(row.count)]));
  return {
    name: 'skerry_hub_devices',
    help: 'Devices of the fleet, by presence.',
    type: 'gauge',
    samples: ['online', 'offline', 'never'].map((state) => ({ labels: { state }, value: counts.get(state) ?? 0 })),
  };
}

async function recentSums({ clock, query, recent }: FleetMetricsDeps, models: readonly string[]): Promise<Labelled[]> {
  const since = clock.now() - (recent ?? minutes(10));
  const series: Labelled[] = [];
  for (const model of models) {
    for (const { version, sums } of await query.sums(model, { since })) series.push(labelled(model, version, sums));
  }
  return series;
}

function labelled(model: string, version: number, sums: Sums): Labelled {
  return { labels: { model, version: String(version) }, value: (signal) => sums.of(signal) };
}
