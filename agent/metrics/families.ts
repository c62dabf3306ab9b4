import type { ModelMemory, PredictionTarget, ServableStatus } from '#agent/inference/contract.js';
import type { OutboxStats } from '#agent/store/contract.js';
import type { LinkStatus } from '#agent/sync/contract.js';
import type { MetricFamily, MetricSample } from '#shared/kernel/exposition.js';
import { SERVABLE_STATES } from '#shared/protocol/messages.js';
import type { DeviceHealth } from './health.js';
import type { RequestCounts } from './request-counts.js';
import { type Labelled, signalFamilies } from '#shared/signals/exposition.js';
import { UNITS } from '#shared/signals/signal.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import type { TotalSeries } from './series.js';

type Labels = Readonly<Record<string, string>>;

/** Everything `/metrics` says, as of one moment. */
interface MetricsSnapshot {
  readonly build: Labels;
  readonly totals: readonly TotalSeries[];
  readonly refused: ReadonlyMap<string, number>;
  readonly requests: ReturnType<RequestCounts['totals']>;
  readonly servables: readonly ServableStatus[];
  readonly routed: readonly { readonly model: string; readonly version: number }[];
  readonly memory: ModelMemory | undefined;
  readonly outbox: OutboxStats | undefined;
  readonly link: LinkStatus | undefined;
  readonly health: DeviceHealth | undefined;
}

/** The snapshot as metric families. Durations are seconds, as Prometheus has them. Pure. */
export function metricFamilies(snapshot: MetricsSnapshot, table: SignalTable = SIGNALS): readonly MetricFamily[] {
  const { build, totals, refused, requests, servables, routed } = snapshot;
  return [
    family('skerry_build_info', 'gauge', 'Versions of the agent and its runtime.', [{ labels: build, value: 1 }]),
    ...signalFamilies(table.totals, 'agent', totals.map(seriesOf)),
    family(
      'skerry_requests_refused_total',
      'counter',
      'Requests that no servable accepted, by error code.',
      [...refused].map(([code, value]) => ({ labels: { code }, value })),
    ),
    family(
      'skerry_requests_total',
      'counter',
      'Requests to the local API by API, kind of call and status.',
      requests.map(({ api, call, status, count }) => ({ labels: { api, call, status }, value: count })),
    ),
    family(
      'skerry_servable_state',
      'gauge',
      'State of a servable: 1 for the current state, 0 for the others.',
      servables.flatMap(({ model, version, state }) =>
        SERVABLE_STATES.map((one) => ({ labels: { model, version: String(version), state: one }, value: one === state ? 1 : 0 })),
      ),
    ),
    family(
      'skerry_servable_in_flight',
      'gauge',
      'Requests in flight.',
      servables.map((status) => ({ labels: { model: status.model, version: String(status.version) }, value: status.inFlight })),
    ),
    family(
      'skerry_servable_memory_bytes',
      'gauge',
      'Memory that the instances of a servable take; 0 while it sleeps. Of threads it is estimated.',
      servables.flatMap(({ model, version, memoryBytes, asleep }) =>
        memoryBytes === undefined ? [] : [{ labels: { model, version: String(version) }, value: asleep === true ? 0 : memoryBytes }],
      ),
    ),
    family(
      'skerry_servable_asleep',
      'gauge',
      'Whether the instances of a servable are unloaded until a request needs them: 1 or 0.',
      servables.map(({ model, version, asleep }) => ({ labels: { model, version: String(version) }, value: asleep === true ? 1 : 0 })),
    ),
    ...memoryFamilies(snapshot.memory),
    family(
      'skerry_model_routed_version',
      'gauge',
      'Version that serves requests that name none.',
      routed.map(({ model, version }) => ({ labels: { model }, value: version })),
    ),
    ...outboxFamilies(snapshot.outbox),
    ...linkFamilies(snapshot.link),
    ...healthFamilies(snapshot.health, table),
  ];
}

function family(name: string, type: MetricFamily['type'], help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, type, help, samples };
}

function labelsOf(target: PredictionTarget): Labels {
  return { model: target.model, version: String(target.version), variant: target.variant, provider: target.provider };
}

function seriesOf({ target, sums }: TotalSeries): Labelled {
  return { labels: labelsOf(target), value: (signal) => sums.of(signal) };
}

function memoryFamilies(memory: ModelMemory | undefined): readonly MetricFamily[] {
  if (memory === undefined) return [];
  const { heldBytes, budgetBytes } = memory;
  const budget = budgetBytes === undefined ? [] : [{ value: budgetBytes }];
  return [
    family('skerry_model_memory_bytes', 'gauge', 'Memory that all loaded models take together.', [{ value: heldBytes }]),
    family('skerry_model_memory_budget_bytes', 'gauge', 'Memory that all loaded models may take together (--model-memory).', budget),
  ];
}

function outboxFamilies(outbox: OutboxStats | undefined): readonly MetricFamily[] {
  if (outbox === undefined) return [];
  const one = (value: number): readonly MetricSample[] => [{ value }];
  return [
    family('skerry_outbox_records', 'gauge', 'Records in the outbox that the hub has not acknowledged.', one(outbox.records)),
    family('skerry_outbox_bytes', 'gauge', 'Size of the records in the outbox.', one(outbox.bytes)),
    family('skerry_outbox_dropped_total', 'counter', 'Outbox records dropped for lack of space.', one(outbox.dropped)),
    family('skerry_outbox_coarsened_total', 'counter', 'Telemetry records merged into coarser ones for space.', one(outbox.coarsened)),
  ];
}

function linkFamilies(link: LinkStatus | undefined): readonly MetricFamily[] {
  if (link === undefined) return [];
  const samples = (['offline', 'connecting', 'online'] as const).map((kind) => ({
    labels: { state: kind },
    value: link.kind === kind ? 1 : 0,
  }));
  return [family('skerry_link_state', 'gauge', 'State of the link to the hub: 1 for the current state, 0 for the others.', samples)];
}

/** Each figure of the device that the table has, as it is now. */
function healthFamilies(health: DeviceHealth | undefined, table: SignalTable): readonly MetricFamily[] {
  if (health === undefined) return [];
  const figures: Readonly<Record<string, unknown>> = health;
  return table.of('device').flatMap(({ field, unit, agent = [] }) => {
    const value = figures[field];
    if (typeof value !== 'number') return [];
    return agent.map(({ name, type, help, labels = {} }) => family(name, type, help, [{ labels, value: value * UNITS[unit] }]));
  });
}
