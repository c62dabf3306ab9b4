import { z } from 'zod';
import { members, named } from './composed.js';
import { histogram, sketch } from './distributions.js';
import { count, countsByCode } from './form.js';
import { always, ofDevice, ofSpan, optional, type Unnamed } from './signal.js';

/** Name of a number the application reports. */
export const metricNameSchema = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,62}$/, 'lower-case letters, digits, "_", "." and "-", at most 63');

/** Most outputs of a model whose values are sketched, and most metrics of an application, in one window. */
export const OUTPUTS_PER_WINDOW = 8;
export const METRICS_PER_WINDOW = 16;

/** Error codes told apart in one sum. */
export const MAX_ERROR_CODES = 64;

/** Upper bounds of the histograms, milliseconds: from what a tiny model takes to what a slow device takes. */
const DURATIONS = histogram([0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]);

/** The families of one phase of a prediction. */
function phase(name: string) {
  const labels = { phase: name };
  return {
    total: DURATIONS,
    agent: [{ name: 'skerry_prediction_seconds', type: 'histogram', help: 'Duration of answered predictions by phase.', labels }],
    hub: [
      {
        name: 'skerry_hub_prediction_recent_seconds',
        type: 'summary',
        help: 'Duration of recent predictions on all devices by phase: queue, compute, request.',
        labels,
      },
    ],
  } as const;
}

const int = z.int().min(0);
const positive = z.number().min(0);

/** 0 degrees Celsius in kelvin: in kelvin, 10 % more means the same at any level. */
const ZERO_CELSIUS = 273.15;

/**
 * The table of signals: everything a device measures and the hub judges by, one row each. The schema of telemetry windows, their
 * merging on the device and on the hub, the hub's store, gates, both `/metrics`, the API and `skerry metrics` derive from it.
 * A new signal is a row here, and a place that measures it.
 */
export const ROWS = withNames({
  // What versions do: members of a window.
  predictions: always('predictions', count, {
    help: 'requests to a version: answered, failed, and refused as mistakes of callers',
    unit: 'events',
    shown: false,
    agent: [
      {
        name: 'skerry_predictions_total',
        type: 'counter',
        help: 'Requests to a servable: answered, failed, and refused as mistakes of callers.',
      },
    ],
    hub: [
      {
        name: 'skerry_hub_predictions_total',
        type: 'counter',
        help: 'Requests that devices reported: answered, failed, and refused as mistakes of callers.',
      },
    ],
  }),
  errors: always('errors', countsByCode(MAX_ERROR_CODES), {
    help: 'failed predictions by error code',
    unit: 'events',
    rate: { what: 'failed predictions', per: 'prediction' },
    shown: false,
    gate: { test: 'rate', tolerate: 1.25, ruleOut: 2, negligible: 0.0005 },
    agent: [
      { name: 'skerry_prediction_errors_total', type: 'counter', help: 'Failed predictions by error code.', fault: 'version' },
      {
        name: 'skerry_caller_errors_total',
        type: 'counter',
        help: 'Requests refused as mistakes of callers, by error code. They do not count against the version.',
        fault: 'caller',
      },
    ],
    hub: [
      {
        name: 'skerry_hub_prediction_errors_total',
        type: 'counter',
        help: 'Failed predictions that devices reported, by error code.',
        fault: 'version',
      },
      {
        name: 'skerry_hub_caller_errors_total',
        type: 'counter',
        help: 'Requests that devices refused as mistakes of callers, by error code. They do not count against the version.',
        fault: 'caller',
      },
    ],
  }),
  queue: always('queue', sketch, { help: 'time a request waits for a free instance', unit: 'milliseconds', ...phase('queue') }),
  compute: always('compute', sketch, { help: 'time the model runs for a request', unit: 'milliseconds', ...phase('compute') }),
  latency: always('total', sketch, {
    help: 'time a whole request takes',
    unit: 'milliseconds',
    gate: { test: 'quantile', quantile: 0.95, harm: 'more', tolerate: 1.2, ruleOut: 1.5 },
    ...phase('total'),
  }),
  crashes: optional('crashes', count, {
    help: "unexpected ends of a version's workers, and of the agent while it was on trial",
    unit: 'events',
    rate: { what: 'crashes per device hour', per: 'hour' },
    gate: { test: 'rate', tolerate: 1.5, ruleOut: 3, negligible: 0.2 },
    agent: [{ name: 'skerry_crashes_total', type: 'counter', help: 'Unexpected ends of workers and of the agent.' }],
    hub: [{ name: 'skerry_hub_crashes_total', type: 'counter', help: 'Unexpected ends of workers and agents that devices reported.' }],
  }),
  golden: optional('golden', members({ run: count, wrong: count }), {
    help: 'golden samples run again, and those with wrong answers',
    unit: 'events',
    rate: { what: 'golden samples answered otherwise', events: 'wrong', of: 'run' },
    gate: { test: 'limit', atMost: 0.01, ruleOut: 0.03 },
    agent: [
      { name: 'skerry_golden_checks_total', type: 'counter', help: 'Golden samples run again.', part: 'run' },
      { name: 'skerry_golden_failures_total', type: 'counter', help: 'Golden samples with wrong answers.', part: 'wrong' },
    ],
    hub: [
      { name: 'skerry_hub_golden_checks_total', type: 'counter', help: 'Golden samples the devices ran again.', part: 'run' },
      {
        name: 'skerry_hub_golden_failures_total',
        type: 'counter',
        help: 'Golden samples with wrong answers on devices.',
        part: 'wrong',
      },
    ],
  }),
  feedback: optional('feedback', members({ total: count, wrong: count }), {
    help: 'answers with feedback from the application, and those judged wrong',
    unit: 'events',
    rate: { what: 'wrong answers', events: 'wrong', of: 'total' },
    gate: { test: 'rate', tolerate: 1.1, ruleOut: 1.5, negligible: 0 },
    agent: [
      { name: 'skerry_feedback_total', type: 'counter', help: 'Answers with feedback from the application.', part: 'total' },
      { name: 'skerry_feedback_wrong_total', type: 'counter', help: 'Answers that the application judged wrong.', part: 'wrong' },
    ],
    hub: [
      { name: 'skerry_hub_feedback_total', type: 'counter', help: 'Answers with feedback from applications.', part: 'total' },
      { name: 'skerry_hub_feedback_wrong_total', type: 'counter', help: 'Answers that applications judged wrong.', part: 'wrong' },
    ],
  }),
  shadow: optional('shadow', members({ compared: count, disagreed: count, dropped: count, maxError: sketch, cost: sketch }), {
    help: 'answers of a shadow compared with those of the version that serves, and those outside of the golden tolerance',
    unit: 'events',
    rate: { what: 'answers of the shadow that differ', events: 'disagreed', of: 'compared' },
    gate: { test: 'limit', atMost: 0.01, ruleOut: 0.03, onShadows: true },
    agent: [
      {
        name: 'skerry_shadow_compared_total',
        type: 'counter',
        help: 'Answers of shadow versions compared with the serving version.',
        part: 'compared',
      },
      {
        name: 'skerry_shadow_disagreed_total',
        type: 'counter',
        help: 'Answers of shadow versions that differ from the serving version by more than the tolerance.',
        part: 'disagreed',
      },
      {
        name: 'skerry_shadow_dropped_total',
        type: 'counter',
        help: 'Requests sampled for a shadow version but skipped because it was busy.',
        part: 'dropped',
      },
    ],
    hub: [
      {
        name: 'skerry_hub_shadow_compared_total',
        type: 'counter',
        help: 'Answers of shadow versions that devices compared with the serving version.',
        part: 'compared',
      },
      {
        name: 'skerry_hub_shadow_disagreed_total',
        type: 'counter',
        help: 'Answers of shadow versions that differ from the serving version by more than the tolerance.',
        part: 'disagreed',
      },
    ],
  }),
  outputs: optional('outputs', named(members({ values: sketch, notFinite: count }), z.string().max(128), OUTPUTS_PER_WINDOW), {
    help: 'sampled values of each output, and how many were not finite',
    unit: 'any unit',
    gate: { name: 'drift', test: 'distance', atMost: 0.1, ruleOut: 0.25 },
    shown: false,
  }),
  metric: optional('metrics', named(sketch, metricNameSchema, METRICS_PER_WINDOW), {
    help: 'a number the application reports, by name; larger is worse for its gate',
    unit: 'any unit',
    gate: { test: 'quantile', quantile: 0.9, harm: 'more', tolerate: 1.2, ruleOut: 1.5 },
    hub: [
      {
        name: 'skerry_hub_application_metric_recent',
        type: 'summary',
        help: 'Recent metrics that applications reported, by name.',
      },
    ],
  }),
  watched: ofSpan(count, { help: 'time a device had the version loaded', unit: 'milliseconds' }),

  // How the device is: members of its health. Those with a gate are summed by version.
  memory: ofDevice('rssBytes', int, {
    help: 'resident memory of the agent and its processes',
    unit: 'bytes',
    gate: { test: 'quantile', quantile: 0.9, harm: 'more', tolerate: 1.2, ruleOut: 1.5 },
    agent: [{ name: 'process_resident_memory_bytes', type: 'gauge', help: 'Resident memory of the agent.' }],
    hub: [{ name: 'skerry_hub_device_memory_recent_bytes', type: 'summary', help: 'Recent resident memory of agents.' }],
  }),
  temperature: ofDevice('temperatureC', z.number().optional(), {
    help: 'hottest thermal zone of the device; compared in kelvin',
    unit: 'degrees Celsius',
    zero: ZERO_CELSIUS,
    gate: { test: 'quantile', quantile: 0.9, harm: 'more', tolerate: 1.03, ruleOut: 1.06 },
    agent: [{ name: 'skerry_device_temperature_celsius', type: 'gauge', help: 'Hottest thermal zone.' }],
    hub: [
      {
        name: 'skerry_hub_device_temperature_recent_celsius',
        type: 'summary',
        help: 'Recent temperature of the hottest thermal zone of devices.',
      },
    ],
  }),
  processorTime: ofDevice('cpuSeconds', positive, {
    help: 'processor time of the agent since its start',
    unit: 'seconds',
    agent: [{ name: 'process_cpu_seconds_total', type: 'counter', help: 'CPU time of the agent.' }],
  }),
  freeMemory: ofDevice('freeMemoryBytes', int, {
    help: 'free memory of the device',
    unit: 'bytes',
    agent: [{ name: 'skerry_device_free_memory_bytes', type: 'gauge', help: 'Free memory of the device.' }],
  }),
  cache: ofDevice('diskUsedBytes', int, {
    help: 'disk space of the model cache',
    unit: 'bytes',
    agent: [{ name: 'skerry_model_cache_bytes', type: 'gauge', help: 'Disk space of the model cache.' }],
  }),
  uptime: ofDevice('uptimeSeconds', positive, {
    help: 'time since the agent started',
    unit: 'seconds',
    agent: [{ name: 'skerry_uptime_seconds', type: 'gauge', help: 'Time since the agent started.' }],
  }),
  loopDelay: ofDevice('loopDelayP99Ms', positive, {
    help: "delay of the agent's event loop, 99 % quantile of the window",
    unit: 'milliseconds',
    coarsened: 'max',
    agent: [{ name: 'skerry_event_loop_delay_p99_seconds', type: 'gauge', help: 'Delay of the event loop in the open window.' }],
  }),
});
export type Rows = typeof ROWS;

type Named<R> = { readonly [K in keyof R]: R[K] & { readonly name: K } };

function withNames<const R extends Readonly<Record<string, Unnamed>>>(rows: R): Named<R>;
function withNames(rows: Readonly<Record<string, Unnamed>>): Readonly<Record<string, Unnamed & { readonly name: string }>> {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, { ...row, name }]));
}
