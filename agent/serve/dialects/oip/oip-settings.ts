import { SkerryError } from '#shared/kernel/errors.js';
import type { DialectDeps } from '../../dialect.js';
import type { Handler, HttpRoute } from '../../http/exchange.js';
import { jsonAnswer } from '../../http/json-answer.js';
import { arrayAt, bad, type JsonObject, optionalBooleanAt, optionalCountAt, stringAt } from '../../json/fields.js';
import { namedModel } from '../../named.js';
import type { LogSettings } from '../../settings/log-settings.js';
import type { TraceChanges, TraceSettings } from '../../settings/trace-settings.js';
import { neededObject } from './oip-json.js';

/** Triton's extensions for logging and traces. */
export function settingsRoutes({ log, traces, models }: DialectDeps): readonly HttpRoute[] {
  const changeLog: Handler = async (exchange) => jsonAnswer(logDocument(log.change(logChanges(await neededObject(exchange)))));
  const known = (params: Parameters<typeof namedModel>[0]) => {
    const { model } = namedModel(params);
    models.find(model);
    return model;
  };
  const changeTraces: Handler = async (exchange) => {
    const model = exchange.params['model'] === undefined ? undefined : known(exchange.params);
    return jsonAnswer(traceDocument(traces.change(traceChanges(await neededObject(exchange)), model)));
  };
  const ofModel = '/v2/models/:model/trace/setting';
  return [
    { method: 'GET', path: '/v2/logging', call: 'metadata', handle: () => jsonAnswer(logDocument(log.settings)) },
    { method: 'POST', path: '/v2/logging', call: 'settings', handle: changeLog },
    { method: 'GET', path: '/v2/trace/setting', call: 'metadata', handle: () => jsonAnswer(traceDocument(traces.read())) },
    { method: 'POST', path: '/v2/trace/setting', call: 'settings', handle: changeTraces },
    { method: 'GET', path: ofModel, call: 'metadata', handle: ({ params }) => jsonAnswer(traceDocument(traces.read(known(params)))) },
    { method: 'POST', path: ofModel, call: 'settings', handle: changeTraces },
  ];
}

export function logDocument({ info, warning, error, verboseLevel, format }: LogSettings) {
  return { log_file: '', log_info: info, log_warning: warning, log_error: error, log_verbose_level: verboseLevel, log_format: format };
}

type LogReader = (value: unknown, path: string) => Partial<LogSettings>;

/** Every setting of the log, and how its new value is read. */
const LOG_SETTINGS: Readonly<Record<string, LogReader>> = {
  log_info: (value, path) => present('info', optionalBooleanAt(value, path)),
  log_warning: (value, path) => present('warning', optionalBooleanAt(value, path)),
  log_error: (value, path) => present('error', optionalBooleanAt(value, path)),
  log_verbose_level: (value, path) => present('verboseLevel', optionalCountAt(value, path)),
  log_format: (value, path) => {
    if (value === null) return {};
    if (value === 'default' || value === 'ISO8601') return { format: value };
    throw bad(path, '"default" or "ISO8601"', value);
  },
};

function present<K extends keyof LogSettings>(name: K, value: LogSettings[K] | undefined): Partial<LogSettings> {
  const changes: Partial<LogSettings> = {};
  return value === undefined ? changes : Object.assign(changes, { [name]: value });
}

/** All changes of a request, or none: it is refused as a whole. Triton's words for a setting are those of its log. */
export function logChanges(document: JsonObject): Partial<LogSettings> {
  return merged(document, LOG_SETTINGS);
}

export function traceDocument({ level, rate, count, logFrequency }: TraceSettings) {
  return {
    trace_level: level,
    trace_rate: String(rate),
    trace_count: String(count),
    log_frequency: String(logFrequency),
    trace_file: '',
    trace_mode: 'triton',
  };
}

/** Every setting of traces; null sets one back. */
const TRACE_SETTINGS: Readonly<Record<string, (value: unknown, path: string) => TraceChanges>> = {
  trace_rate: (value, path) => ({ rate: wholeText(value, path, 0) }),
  trace_count: (value, path) => ({ count: wholeText(value, path, -1) }),
  log_frequency: (value, path) => ({ logFrequency: wholeText(value, path, 0) }),
  trace_level: (value, path) => {
    const levels = value === null ? [] : arrayAt(value, path, 8);
    if (levels.every((level) => level === 'OFF')) return {};
    throw new SkerryError('SERVE_SETTING', `${path} can only be ["OFF"]: traces are sent by OpenTelemetry, which is set at the start`);
  },
  trace_mode: (value, path) => {
    if (value === null || value === 'triton') return {};
    throw bad(path, '"triton"', value);
  },
};

export function traceChanges(document: JsonObject): TraceChanges {
  return merged(document, TRACE_SETTINGS);
}

/** What clients write as text. */
function wholeText(value: unknown, path: string, least: number): number | null {
  if (value === null) return null;
  const number = /^-?\d{1,10}$/.test(stringAt(value, path, 32)) ? Number(value) : Number.NaN;
  if (number >= least && number < 2 ** 32) return number;
  throw bad(path, `a whole number of at least ${least} and below 2^32, as text`, value);
}

function merged<T extends object>(
  document: JsonObject,
  readers: Readonly<Record<string, (value: unknown, path: string) => T>>,
): T | object {
  const changes = {};
  for (const [name, value] of Object.entries(document)) {
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (read === undefined) {
      throw new SkerryError('SERVE_SETTING', `${JSON.stringify(name.slice(0, 64))} cannot be set, only ${Object.keys(readers).join(', ')}`);
    }
    Object.assign(changes, read(value, name));
  }
  return changes;
}
