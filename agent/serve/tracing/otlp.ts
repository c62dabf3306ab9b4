import type { EpochMillis } from '#shared/kernel/time.js';

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A piece of work that is over. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly traceState: string | undefined;
  readonly name: string;
  readonly kind: 'internal' | 'server';
  readonly start: EpochMillis;
  readonly end: EpochMillis;
  readonly attributes: Attributes;
  /** Why it failed. */
  readonly error: string | undefined;
}

/** SpanKind of opentelemetry/proto/trace/v1/trace.proto. */
const KINDS = { internal: 1, server: 2 } as const;
const STATUS_ERROR = 2;

/** The body of an export request in OTLP's JSON form: ids in hexadecimal digits, nanoseconds as strings. */
export function encodeSpans(spans: readonly Span[], resource: Attributes, version: string): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: encodeAttributes(resource) },
        scopeSpans: [{ scope: { name: 'skerry', version }, spans: spans.map(encodeSpan) }],
      },
    ],
  });
}

function encodeSpan({ traceId, spanId, parentId, traceState, name, kind, start, end, attributes, error }: Span): object {
  return {
    traceId,
    spanId,
    ...(parentId === undefined ? {} : { parentSpanId: parentId }),
    ...(traceState === undefined ? {} : { traceState }),
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: encodeAttributes(attributes),
    status: error === undefined ? {} : { code: STATUS_ERROR, message: error },
  };
}

function encodeAttributes(attributes: Attributes): readonly object[] {
  return Object.entries(attributes).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: encodeValue(value) }]));
}

function encodeValue(value: string | number | boolean): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** Exact to the microsecond. */
function nanoseconds(millis: EpochMillis): string {
  return `${Math.round(millis * 1_000)}000`;
}
