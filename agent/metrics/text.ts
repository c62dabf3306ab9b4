import type { DataPlane, ModelMemory } from '#agent/inference/contract.js';
import type { OutboxStats } from '#agent/store/contract.js';
import type { LinkStatus } from '#agent/sync/contract.js';
import { type MetricFamily, renderMetrics } from '#shared/kernel/exposition.js';
import { SIGNALS, type SignalTable } from '#shared/signals/table.js';
import { metricFamilies } from './families.js';
import type { HealthMonitor } from './health.js';
import type { MetricsRecorder } from './recorder.js';
import type { RequestCounts } from './request-counts.js';

/** What metrics are read from. */
export type MeasuredPlane = Pick<DataPlane, 'list' | 'routed' | 'statistics'>;

interface MetricsTextParts {
  readonly recorder: MetricsRecorder;
  readonly requests: RequestCounts;
  readonly dataPlane: MeasuredPlane;
  /** What loaded models take, where that is known. */
  readonly memory?: () => ModelMemory;
  readonly health: HealthMonitor;
  /** Left out where there is no hub. */
  readonly outbox?: () => Promise<OutboxStats>;
  readonly link?: () => LinkStatus;
  readonly signals?: SignalTable;
  /** Families of what else is watched. */
  readonly more?: (dataPlane: MeasuredPlane) => readonly MetricFamily[];
  /** Labels of `skerry_build_info`: version, node, runtime ... */
  readonly build: () => Readonly<Record<string, string>>;
}

/** Text of `/metrics`. A part that cannot be read is left out rather than failing the scrape. */
export function createMetricsText(parts: MetricsTextParts): () => Promise<string> {
  const { recorder, requests, dataPlane, memory, health, outbox, link, build, signals = SIGNALS, more = () => [] } = parts;
  return async () => {
    const [stats, figures] = await Promise.all([outbox?.().catch(() => undefined), health.read().catch(() => undefined)]);
    const servables = dataPlane.list();
    const routed = [...new Set(servables.map((status) => status.model))].flatMap((model) => {
      const version = dataPlane.routed(model);
      return version === undefined ? [] : [{ model, version }];
    });
    return renderMetrics([
      ...metricFamilies(
        {
          build: build(),
          totals: recorder.totals(),
          refused: recorder.refused(),
          requests: requests.totals(),
          servables,
          routed,
          memory: memory?.(),
          outbox: stats,
          link: link?.(),
          health: figures,
        },
        signals,
      ),
      ...more(dataPlane),
    ]);
  };
}
