declare const millisBrand: unique symbol;
/** A duration in milliseconds. */
export type Millis = number & { readonly [millisBrand]?: 'duration' };
/** A point in time: milliseconds since the Unix epoch, UTC. */
export type EpochMillis = number & { readonly [millisBrand]?: 'epoch' };

export const seconds = (n: number): Millis => n * 1_000;
export const minutes = (n: number): Millis => n * 60_000;

/** Signals closer together than this say one thing: Ctrl-C reaches a process from its terminal and from whoever hands signals on. */
export const SAME_WISH: Millis = 500;
export const hours = (n: number): Millis => n * 3_600_000;
export const days = (n: number): Millis => n * 86_400_000;

/** Parses an RFC 3339 timestamp; `undefined` when it is not one (never NaN, so an unreadable date can not compare as "later"). */
export function parseTimestamp(text: string): EpochMillis | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const value = Date.parse(text);
  return Number.isNaN(value) ? undefined : value;
}
