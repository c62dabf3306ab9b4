import type { ServableStatus } from '#agent/inference/contract.js';
import type { ServableStatistics } from '#agent/inference/statistics/servable-statistics.js';
import type { MetricFamily, MetricSample } from '#shared/kernel/exposition.js';
import type { MachineLoad } from './machine-load.js';

interface TritonSnapshot {
  readonly statistics: readonly ServableStatistics[];
  readonly servables: readonly Pick<ServableStatus, 'model' | 'version' | 'waiting'>[];
  readonly machine: MachineLoad;
}

interface CounterRow {
  readonly name: string;
  readonly help: string;
  readonly of: (statistics: ServableStatistics) => number;
  readonly labels?: Readonly<Record<string, string>>;
}

const micros = ({ ns }: { readonly ns: number }): number => Math.round(ns / 1_000);

/** Counters as Triton names and explains them (core/src/metrics.cc). We have no cache, and know no reason of a failure here. */
const COUNTERS: readonly CounterRow[] = [
  {
    name: 'nv_inference_request_success',
    help: 'Number of successful inference requests, all batch sizes',
    of: ({ success }) => success.count,
  },
  {
    name: 'nv_inference_request_failure',
    help: 'Number of failed inference requests, all batch sizes',
    of: ({ fail }) => fail.count,
    labels: { reason: 'OTHER' },
  },
  {
    name: 'nv_inference_count',
    help: 'Number of inferences performed (does not include cached requests)',
    of: ({ inferenceCount }) => inferenceCount,
  },
  {
    name: 'nv_inference_exec_count',
    help: 'Number of model executions performed (does not include cached requests)',
    of: ({ executionCount }) => executionCount,
  },
  {
    name: 'nv_inference_request_duration_us',
    help: 'Cumulative inference request duration in microseconds (includes cached requests)',
    of: ({ success }) => micros(success),
  },
  {
    name: 'nv_inference_queue_duration_us',
    help: 'Cumulative inference queuing duration in microseconds (includes cached requests)',
    of: ({ queue }) => micros(queue),
  },
  {
    name: 'nv_inference_compute_input_duration_us',
    help: 'Cumulative compute input duration in microseconds (does not include cached requests)',
    of: ({ computeInput }) => micros(computeInput),
  },
  {
    name: 'nv_inference_compute_infer_duration_us',
    help: 'Cumulative compute inference duration in microseconds (does not include cached requests)',
    of: ({ computeInfer }) => micros(computeInfer),
  },
  {
    name: 'nv_inference_compute_output_duration_us',
    help: 'Cumulative inference compute output duration in microseconds (does not include cached requests)',
    of: ({ computeOutput }) => micros(computeOutput),
  },
];

/** What is served as Triton's dashboards and perf_analyzer look for it. Pure. */
export function tritonFamilies({ statistics, servables, machine }: TritonSnapshot): readonly MetricFamily[] {
  const pending = servables.map(({ model, version, waiting = 0 }) => ({ labels: { model, version: String(version) }, value: waiting }));
  return [
    ...COUNTERS.map(({ name, help, of, labels }) => {
      const samples = statistics.map((one) => ({ labels: { model: one.model, ...labels, version: String(one.version) }, value: of(one) }));
      return { name, help, type: 'counter' as const, samples };
    }),
    gauge('nv_inference_pending_request_count', 'Instantaneous number of pending requests awaiting execution per-model.', pending),
    gauge('nv_cpu_utilization', 'CPU utilization rate [0.0 - 1.0]', [{ value: machine.cpu }]),
    gauge('nv_cpu_memory_total_bytes', 'CPU total memory (RAM), in bytes', [{ value: machine.memoryBytes }]),
    gauge('nv_cpu_memory_used_bytes', 'CPU used memory (RAM), in bytes', [{ value: machine.usedMemoryBytes }]),
  ];
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'gauge', samples };
}
