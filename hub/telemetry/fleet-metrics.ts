import { isCallersFault } from '#shared/kernel/error-registry.js';
import type { MetricFamily, MetricSample } from '#shared/kernel/exposition.js';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import type { Ingest } from './ingest.js';
import { readErrors } from './measure.js';
import type { MetricsQuery } from './metrics-query.js';
import type { VersionMetrics } from './views.js';

export interface FleetMetricsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly ingest: Ingest;
  readonly query: MetricsQuery;
  /** Time the latency quantiles look back (default 10 minutes). */
  readonly recent?: Millis;
}

const QUANTILES = [
  ['0.5', 'p50'],
  ['0.95', 'p95'],
  ['0.99', 'p99'],
] as const;

/** What the fleet looks like to Prometheus: devices by presence, predictions and failures since ever, latencies of late. */
export async function fleetMetrics(deps: FleetMetricsDeps): Promise<readonly MetricFamily[]> {
  const totals = await deps.db.selectFrom('metrics_total').selectAll().orderBy('model').orderBy('version').execute();
  const labelled = totals.map((row) => ({ row, labels: { model: row.model, version: String(row.version) } }));
  return [
    await devicesByPresence(deps.db),
    {
      name: 'skerry_hub_predictions_total',
      help: 'Requests the devices reported: answered, failed, and refused for what their callers sent.',
      type: 'counter',
      samples: labelled.map(({ row, labels }) => ({ labels, value: row.predictions })),
    },
    {
      name: 'skerry_hub_prediction_errors_total',
      help: 'Failed predictions the devices reported, by error code.',
      type: 'counter',
      samples: labelled.flatMap(({ row, labels }) => errorSamples(row.errors, labels, false)),
    },
    {
      name: 'skerry_hub_caller_errors_total',
      help: 'Requests the devices refused for what their callers sent, by error code; they do not count against the version.',
      type: 'counter',
      samples: labelled.flatMap(({ row, labels }) => errorSamples(row.errors, labels, true)),
    },
    {
      name: 'skerry_hub_prediction_recent_seconds',
      help: 'Latency of recent predictions over the whole fleet: waiting, computing, in all.',
      type: 'summary',
      samples: await recentLatency(deps, [...new Set(totals.map((row) => row.model))]),
    },
    ...deps.ingest.figures.families(deps.ingest.queued),
  ];
}

function errorSamples(errors: string, labels: Readonly<Record<string, string>>, callers: boolean): MetricSample[] {
  return [...readErrors(errors)]
    .filter(([code]) => isCallersFault(code) === callers)
    .map(([code, value]) => ({ labels: { ...labels, code }, value }));
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
    help: 'Devices of the fleet, by whether they are connected.',
    type: 'gauge',
    samples: ['online', 'offline', 'never'].map((state) => ({ labels: { state }, value: counts.get(state) ?? 0 })),
  };
}

async function recentLatency({ clock, query, recent }: FleetMetricsDeps, models: readonly string[]): Promise<MetricSample[]> {
  const samples: MetricSample[] = [];
  for (const model of models) {
    for (const metrics of await query.model(model, { since: clock.now() - (recent ?? minutes(10)) })) {
      samples.push(...latencySamples(model, metrics));
    }
  }
  return samples;
}

function latencySamples(model: string, { version, latencyMs }: VersionMetrics): MetricSample[] {
  return (['queue', 'compute', 'total'] as const).flatMap((phase) => {
    const labels = { model, version: String(version), phase };
    const figures = latencyMs[phase];
    const quantiles = QUANTILES.flatMap(([quantile, key]) => {
      const value = figures[key];
      return value === null ? [] : [{ labels: { ...labels, quantile }, value: value / 1_000 }];
    });
    return [...quantiles, { labels, suffix: '_count', value: figures.count }];
  });
}
