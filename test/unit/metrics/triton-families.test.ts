import { expect, test } from 'vitest';
import { machineLoadReader } from '#agent/metrics/machine-load.js';
import { tritonFamilies } from '#agent/metrics/triton-families.js';
import { renderMetrics } from '#shared/kernel/exposition.js';
import { modelName, versionNumber } from '../../kit/servables.js';

const target = { model: modelName('add_sub'), version: versionNumber(1) };
const total = (count: number, ns: number) => ({ count, ns });

test('what is served is told under Triton’s names, in microseconds, by model and version', () => {
  const text = renderMetrics(
    tritonFamilies({
      statistics: [
        {
          ...target,
          lastInference: 1,
          inferenceCount: 12,
          executionCount: 4,
          success: total(6, 9_000_499),
          fail: total(2, 1),
          queue: total(6, 1_500_000),
          computeInput: total(6, 2_000),
          computeInfer: total(6, 7_000_000),
          computeOutput: total(6, 499),
          batches: [],
        },
      ],
      servables: [{ ...target, waiting: 3 }],
      machine: { cpu: 0.25, memoryBytes: 100, usedMemoryBytes: 40 },
    }),
  );
  const labels = 'model="add_sub",version="1"';
  expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
    `nv_inference_request_success{${labels}} 6`,
    'nv_inference_request_failure{model="add_sub",reason="OTHER",version="1"} 2',
    `nv_inference_count{${labels}} 12`,
    `nv_inference_exec_count{${labels}} 4`,
    `nv_inference_request_duration_us{${labels}} 9000`,
    `nv_inference_queue_duration_us{${labels}} 1500`,
    `nv_inference_compute_input_duration_us{${labels}} 2`,
    `nv_inference_compute_infer_duration_us{${labels}} 7000`,
    `nv_inference_compute_output_duration_us{${labels}} 0`,
    `nv_inference_pending_request_count{${labels}} 3`,
    'nv_cpu_utilization 0.25',
    'nv_cpu_memory_total_bytes 100',
    'nv_cpu_memory_used_bytes 40',
    '',
  ]);
  expect(text).toContain('# TYPE nv_inference_request_success counter\n');
  expect(text).toContain('# TYPE nv_inference_pending_request_count gauge\n');
});

test('the load of the machine is that since the last reading', () => {
  const times = { user: 10, nice: 0, sys: 10, idle: 80, irq: 0 };
  const read = machineLoadReader(() => [{ times: { ...times } }]);
  expect(read().cpu).toBe(0.2);
  expect(read().cpu).toBe(0);
  times.user += 30;
  times.idle += 10;
  const load = read();
  expect(load.cpu).toBe(0.75);
  expect(load.usedMemoryBytes).toBeLessThanOrEqual(load.memoryBytes);
});
