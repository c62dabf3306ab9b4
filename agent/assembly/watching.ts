import type { Clock } from '#shared/kernel/clock.js';
import type { MetricFamily } from '#shared/kernel/exposition.js';
import type { Parts } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { AgentConfig } from '../config.js';
import type { MeasuredPlane } from '../metrics/text.js';
import type { AccessLog } from '../serve/access-log.js';
import type { SpanExporter } from '../serve/tracing/span-exporter.js';
import type { Tracer } from '../serve/tracing/tracer.js';

/** What is told to the outside of each request. What is not set is not loaded. */
export interface Watching {
  readonly tracer: Tracer | undefined;
  readonly accessLog: AccessLog | undefined;
  readonly families: (dataPlane: MeasuredPlane) => readonly MetricFamily[];
}

export interface WatchingContext {
  readonly config: Pick<AgentConfig, 'accessLog' | 'traceEndpoint' | 'traceHeaders' | 'traceRatio' | 'traceService'> &
    Partial<Pick<AgentConfig, 'tritonMetrics'>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of this agent among others. */
  readonly instance: string;
}

export async function openWatching(parts: Parts, context: WatchingContext): Promise<Watching> {
  const accessLog = await openAccessLog(parts, context);
  const tracing = await openTracing(parts, context);
  const triton = await openTriton(context);
  const families = (dataPlane: MeasuredPlane): readonly MetricFamily[] => [
    ...accessLogFamilies(accessLog),
    ...spanFamilies(tracing?.exporter),
    ...triton(dataPlane),
  ];
  return { tracer: tracing?.tracer, accessLog, families };
}

async function openAccessLog(parts: Parts, { config, clock, logger }: WatchingContext): Promise<AccessLog | undefined> {
  if (config.accessLog === 'none') return undefined;
  const { AccessLog: Log, appendTo, appendToStdout } = await import('../serve/access-log.js');
  const append = config.accessLog === 'stdout' ? appendToStdout : appendTo(config.accessLog);
  return parts.holds(new Log({ append, clock, logger: logger.child({ room: 'serve' }) }));
}

async function openTracing(
  parts: Parts,
  { config, clock, logger, instance }: WatchingContext,
): Promise<{ readonly tracer: Tracer; readonly exporter: SpanExporter } | undefined> {
  const { traceEndpoint, traceHeaders = {}, traceRatio, traceService } = config;
  if (traceEndpoint === undefined) return undefined;
  const [{ Tracer: Made }, { SpanExporter: Exporter }] = await Promise.all([
    import('../serve/tracing/tracer.js'),
    import('../serve/tracing/span-exporter.js'),
  ]);
  const url = new URL(traceEndpoint);
  // As with OTEL_EXPORTER_OTLP_ENDPOINT, whose signals have paths of their own below it.
  if (url.pathname === '/') url.pathname = '/v1/traces';
  const resource = { 'service.name': traceService, 'service.version': SKERRY_VERSION, 'service.instance.id': instance };
  const exporter = parts.holds(
    new Exporter({
      url: url.href,
      headers: traceHeaders,
      resource,
      version: SKERRY_VERSION,
      clock,
      logger: logger.child({ room: 'serve' }),
    }),
  );
  return { tracer: new Made({ sink: exporter, ratio: traceRatio, clock }), exporter };
}

/** What is served under Triton's names, where they are asked for. */
async function openTriton({ config }: WatchingContext): Promise<Watching['families']> {
  if (config.tritonMetrics !== 'on') return () => [];
  const [{ tritonFamilies }, { machineLoadReader }] = await Promise.all([
    import('../metrics/triton-families.js'),
    import('../metrics/machine-load.js'),
  ]);
  const load = machineLoadReader();
  return (dataPlane) => tritonFamilies({ statistics: dataPlane.statistics(), servables: dataPlane.list(), machine: load() });
}

function accessLogFamilies(log: AccessLog | undefined): readonly MetricFamily[] {
  if (log === undefined) return [];
  const help = 'Lines of the access log that were dropped because they could not be written.';
  return [{ name: 'skerry_access_log_dropped_total', type: 'counter', help, samples: [{ value: log.dropped }] }];
}

function spanFamilies(exporter: SpanExporter | undefined): readonly MetricFamily[] {
  if (exporter === undefined) return [];
  const { exported, dropped } = exporter.counts;
  return [
    { name: 'skerry_spans_exported_total', type: 'counter', help: 'Spans that the collector took.', samples: [{ value: exported }] },
    {
      name: 'skerry_spans_dropped_total',
      type: 'counter',
      help: 'Spans that the collector did not take in time.',
      samples: [{ value: dropped }],
    },
  ];
}
