import type { PredictionTarget, ServableStatus } from '#agent/inference/contract.js';
import type { OutboxStats } from '#agent/store/contract.js';
import type { LinkStatus } from '#agent/sync/contract.js';
import { isCallersFault } from '#shared/kernel/error-registry.js';
import type { MetricFamily, MetricSample } from '#shared/kernel/exposition.js';
import { SERVABLE_STATES } from '#shared/protocol/messages.js';
import type { DeviceHealth } from './health.js';
import type { RequestCounts } from './request-counts.js';
import { BUCKETS_MS, PHASES, type TotalSeries } from './series.js';

type Labels = Readonly<Record<string, string>>;

/** Everything `/metrics` says, as of one moment. */
export interface MetricsSnapshot {
  readonly build: Labels;
  readonly totals: readonly TotalSeries[];
  readonly refused: ReadonlyMap<string, number>;
  readonly requests: ReturnType<RequestCounts['totals']>;
  readonly servables: readonly ServableStatus[];
  readonly routed: readonly { readonly model: string; readonly version: number }[];
  readonly outbox: OutboxStats | undefined;
  readonly link: LinkStatus | undefined;
  readonly health: DeviceHealth | undefined;
}

/** The snapshot as metric families. Durations are seconds, as Prometheus has them. Pure. */
export function metricFamilies(snapshot: MetricsSnapshot): readonly MetricFamily[] {
  const { build, totals, refused, requests, servables, routed } = snapshot;
  return [
    family('skerry_build_info', 'gauge', 'Versions of the agent and its runtime.', [{ labels: build, value: 1 }]),
    family(
      'skerry_predictions_total',
      'counter',
      'Requests a servable took: answered, failed, and refused for what their callers sent.',
      totals.map((series) => ({ labels: labelsOf(series.target), value: series.predictions })),
    ),
    family(
      'skerry_prediction_errors_total',
      'counter',
      'Failed predictions by error code.',
      totals.flatMap((series) => errorSamples(series, false)),
    ),
    family(
      'skerry_caller_errors_total',
      'counter',
      'Requests refused for what their callers sent, by error code; they do not count against the version.',
      totals.flatMap((series) => errorSamples(series, true)),
    ),
    family(
      'skerry_requests_refused_total',
      'counter',
      'Requests no servable took, by error code.',
      [...refused].map(([code, value]) => ({ labels: { code }, value })),
    ),
    family(
      'skerry_requests_total',
      'counter',
      'Requests to the local API by API, kind of call and status.',
      requests.map(({ api, call, status, count }) => ({ labels: { api, call, status }, value: count })),
    ),
    family('skerry_prediction_seconds', 'histogram', 'Duration of answered predictions by phase.', totals.flatMap(histogramSamples)),
    family(
      'skerry_servable_state',
      'gauge',
      '1 for the state a servable is in.',
      servables.flatMap(({ model, version, state }) =>
        SERVABLE_STATES.map((one) => ({ labels: { model, version: String(version), state: one }, value: one === state ? 1 : 0 })),
      ),
    ),
    family(
      'skerry_servable_in_flight',
      'gauge',
      'Requests taken and not yet answered.',
      servables.map((status) => ({ labels: { model: status.model, version: String(status.version) }, value: status.inFlight })),
    ),
    family(
      'skerry_servable_memory_bytes',
      'gauge',
      'Growth of resident memory while the servable was loaded.',
      servables.flatMap(({ model, version, memoryBytes }) =>
        memoryBytes === undefined ? [] : [{ labels: { model, version: String(version) }, value: memoryBytes }],
      ),
    ),
    family(
      'skerry_model_routed_version',
      'gauge',
      'Version requests without a version go to.',
      routed.map(({ model, version }) => ({ labels: { model }, value: version })),
    ),
    ...outboxFamilies(snapshot.outbox),
    ...linkFamilies(snapshot.link),
    ...healthFamilies(snapshot.health),
  ];
}

function family(name: string, type: MetricFamily['type'], help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, type, help, samples };
}

function labelsOf(target: PredictionTarget): Labels {
  return { model: target.model, version: String(target.version), variant: target.variant, provider: target.provider };
}

function errorSamples(series: TotalSeries, callers: boolean): readonly MetricSample[] {
  return [...series.errors]
    .filter(([code]) => isCallersFault(code) === callers)
    .map(([code, value]) => ({ labels: { ...labelsOf(series.target), code }, value }));
}

function histogramSamples(series: TotalSeries): readonly MetricSample[] {
  return PHASES.flatMap((phase) => {
    const labels = { ...labelsOf(series.target), phase };
    const { counts, sum } = series.histograms[phase];
    let cumulative = 0;
    const buckets = counts.map((count, index) => {
      cumulative += count;
      const bound = BUCKETS_MS[index];
      return { suffix: '_bucket', labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound / 1000) }, value: cumulative };
    });
    return [...buckets, { suffix: '_sum', labels, value: sum / 1000 }, { suffix: '_count', labels, value: cumulative }];
  });
}

function outboxFamilies(outbox: OutboxStats | undefined): readonly MetricFamily[] {
  if (outbox === undefined) return [];
  const one = (value: number): readonly MetricSample[] => [{ value }];
  return [
    family('skerry_outbox_records', 'gauge', 'Records the hub has not acknowledged.', one(outbox.records)),
    family('skerry_outbox_bytes', 'gauge', 'Bytes of those records.', one(outbox.bytes)),
    family('skerry_outbox_dropped_total', 'counter', 'Records given up for space.', one(outbox.dropped)),
    family('skerry_outbox_coarsened_total', 'counter', 'Telemetry records merged into coarser ones for space.', one(outbox.coarsened)),
  ];
}

function linkFamilies(link: LinkStatus | undefined): readonly MetricFamily[] {
  if (link === undefined) return [];
  const samples = (['offline', 'connecting', 'online'] as const).map((kind) => ({
    labels: { state: kind },
    value: link.kind === kind ? 1 : 0,
  }));
  return [family('skerry_link_state', 'gauge', '1 for the state of the link to the hub.', samples)];
}

function healthFamilies(health: DeviceHealth | undefined): readonly MetricFamily[] {
  if (health === undefined) return [];
  const one = (value: number): readonly MetricSample[] => [{ value }];
  const families = [
    family('process_resident_memory_bytes', 'gauge', 'Resident memory of the agent.', one(health.rssBytes)),
    family('process_cpu_seconds_total', 'counter', 'CPU time of the agent.', one(health.cpuSeconds)),
    family('skerry_device_free_memory_bytes', 'gauge', 'Free memory of the device.', one(health.freeMemoryBytes)),
    family('skerry_model_cache_bytes', 'gauge', 'Disk space of the model cache.', one(health.diskUsedBytes)),
    family('skerry_uptime_seconds', 'gauge', 'Time since the agent started.', one(health.uptimeSeconds)),
    family(
      'skerry_event_loop_delay_p99_seconds',
      'gauge',
      'Delay of the event loop in the open window.',
      one(health.loopDelayP99Ms / 1000),
    ),
  ];
  if (health.temperatureC === undefined) return families;
  return [...families, family('skerry_device_temperature_celsius', 'gauge', 'Hottest thermal zone.', one(health.temperatureC))];
}
