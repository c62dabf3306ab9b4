import type { Millis } from '#shared/kernel/time.js';

/** How often something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** How often at once, after a rest. */
  readonly burst: number;
}

/** What was left at a moment. */
export interface Bucket {
  readonly tokens: number;
  readonly at: Millis;
}

/** A full bucket. */
export function fullBucket({ burst }: Rate, now: Millis): Bucket {
  return { tokens: burst, at: now };
}

/** The bucket as it is now. */
export function refilled({ tokens, at }: Bucket, { perSecond, burst }: Rate, now: Millis): Bucket {
  const grown = tokens + (Math.max(0, now - at) / 1000) * perSecond;
  return { tokens: Math.min(burst, grown), at: Math.max(at, now) };
}

type Taken = { readonly bucket: Bucket; readonly wait?: never } | { readonly bucket: Bucket; readonly wait: Millis };

/** Takes one token; without one, `wait` says how long until there is. */
export function takeToken(bucket: Bucket, rate: Rate, now: Millis): Taken {
  const current = refilled(bucket, rate, now);
  if (current.tokens >= 1) return { bucket: { ...current, tokens: current.tokens - 1 } };
  return { bucket: current, wait: ((1 - current.tokens) / rate.perSecond) * 1000 };
}
