/** Where a span belongs: W3C Trace Context. */
export interface TraceContext {
  /** 32 hexadecimal digits in lower case. */
  readonly traceId: string;
  /** 16 hexadecimal digits in lower case. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent` header (Trace Context 3.2); `undefined` when it is not valid, which starts a new trace. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(text?.trim() ?? '') ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  // 3.2.2.1: a later version may have more behind; the first has not.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** A `tracestate` that may be handed on; what is longer than 512 characters need not be (3.3.1.5). */
export function passedState(text: string | undefined): string | undefined {
  return text === undefined || text === '' || text.length > 512 ? undefined : text;
}

/** Whether a trace that begins here is among the share to be kept; every service that asks the same way decides the same. */
export function isInRatio(traceId: string, ratio: number): boolean {
  // 52 bits of the random part, as many as a number holds exactly.
  return Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;
}
