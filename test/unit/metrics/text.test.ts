import { expect, test } from 'vitest';
import { HealthMonitor } from '#agent/metrics/health.js';
import { MetricsRecorder } from '#agent/metrics/recorder.js';
import { RequestCounts } from '#agent/metrics/request-counts.js';
import { createMetricsText } from '#agent/metrics/text.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { modelName, versionNumber, X, Y } from '../../kit/servables.js';

const target = { model: modelName('vad'), version: versionNumber(3), variant: 'fp32', provider: 'cpu' };

test('says what happened, what is loaded, and how the device is', async () => {
  const recorder = new MetricsRecorder();
  recorder.succeeded(target, { queue: 0.05, compute: 2, total: 3 });
  recorder.succeeded(target, { queue: 0, compute: 99_999, total: 99_999 });
  recorder.failed(target, 'INFERENCE_TIMEOUT');
  recorder.failed(target, 'TENSOR_SHAPE');
  recorder.failed(undefined, 'INFERENCE_MODEL_UNKNOWN');
  const requests = new RequestCounts();
  requests.answered({ api: 'oip', call: 'inference' }, 'OK');
  requests.answered({ api: 'oip', call: 'inference' }, 'OK');
  const status = { ...target, manifest: '' as never, state: 'available' as const, inputs: [X], outputs: [Y], inFlight: 2, memoryBytes: 5 };
  const text = createMetricsText({
    recorder,
    requests,
    dataPlane: { list: () => [status], routed: () => target.version, statistics: () => [] },
    health: new HealthMonitor({ diskUsed: () => Promise.resolve(7) }),
    outbox: () => Promise.resolve({ records: 1, bytes: 2, dropped: 3, coarsened: 4 }),
    link: () => ({ kind: 'online', since: 0, broker: 'b' }),
    build: () => ({ version: '0.1.0"\n' }),
  });
  const out = await text();
  const labels = 'model="vad",version="3",variant="fp32",provider="cpu"';
  for (const line of [
    'skerry_build_info{version="0.1.0\\"\\n"} 1',
    `skerry_predictions_total{${labels}} 4`,
    `skerry_prediction_errors_total{${labels},code="INFERENCE_TIMEOUT"} 1`,
    `skerry_caller_errors_total{${labels},code="TENSOR_SHAPE"} 1`,
    'skerry_requests_refused_total{code="INFERENCE_MODEL_UNKNOWN"} 1',
    'skerry_requests_total{api="oip",call="inference",status="OK"} 2',
    `skerry_prediction_seconds_bucket{${labels},phase="compute",le="0.0025"} 1`,
    `skerry_prediction_seconds_bucket{${labels},phase="compute",le="30"} 1`,
    `skerry_prediction_seconds_bucket{${labels},phase="compute",le="+Inf"} 2`,
    `skerry_prediction_seconds_count{${labels},phase="total"} 2`,
    'skerry_servable_state{model="vad",version="3",state="available"} 1',
    'skerry_servable_state{model="vad",version="3",state="failed"} 0',
    'skerry_model_routed_version{model="vad"} 3',
    'skerry_outbox_dropped_total 3',
    'skerry_link_state{state="online"} 1',
    'skerry_model_cache_bytes 7',
  ]) {
    expect(out.split('\n')).toContain(line);
  }
  expect(out, 'what a caller did wrong is no failure of the version').not.toMatch(/prediction_errors_total.*TENSOR_SHAPE/);
});

test('a part that cannot be read is left out', async () => {
  const text = createMetricsText({
    recorder: new MetricsRecorder(),
    requests: new RequestCounts(),
    dataPlane: { list: () => [], routed: () => undefined, statistics: () => [] },
    health: new HealthMonitor({ diskUsed: () => Promise.reject(new SkerryError('IO_FAILED', 'no')) }),
    outbox: () => Promise.reject(new SkerryError('CLOSED', 'no')),
    link: () => ({ kind: 'offline', since: 0 }),
    build: () => ({}),
  });
  const out = await text();
  expect(out).not.toContain('skerry_outbox');
  expect(out).toContain('skerry_link_state{state="offline"} 1');
});
