import type { Difference } from './compare.js';
import type { HttpExchange } from './record.js';

/** A way in which we differ on purpose from a server that was recorded: a row of the table in docs/PROTOCOL.md. */
export interface DifferenceRule {
  /** The requests. */
  readonly what: string;
  readonly theirs: string;
  readonly ours: string;
  readonly reason: string;
  /** Whether this difference is one of these. */
  readonly covers: (exchange: HttpExchange, difference: Difference) => boolean;
}

type Covers = DifferenceRule['covers'];

/** Of HTTP, or the code of gRPC. */
type Status = number | string;

/** The status changes from one of these to one of those. */
export function status(theirs: readonly Status[], ours: readonly Status[]): Covers {
  const has = (list: readonly Status[], text: string): boolean => list.some((one) => String(one) === text);
  return (_, difference) => difference.at === 'status' && has(theirs, difference.theirs) && has(ours, difference.ours);
}

/** These exchanges, whatever differs in them. */
export function exchanges(...ids: readonly string[]): Covers {
  return ({ id }) => ids.includes(id);
}

/** All of these hold. */
export function all(...parts: readonly Covers[]): Covers {
  return (exchange, difference) => parts.every((covers) => covers(exchange, difference));
}

/** One of these holds. */
export function any(...parts: readonly Covers[]): Covers {
  return (exchange, difference) => parts.some((covers) => covers(exchange, difference));
}

export function path(pattern: RegExp): Covers {
  return (exchange) => pattern.test(exchange.path);
}

/** Their error says this. */
export function theirError(pattern: RegExp): Covers {
  return ({ response }) => pattern.test(response.body_text ?? '');
}

/** The JSON of the request has this. */
export function body(pattern: RegExp): Covers {
  return (exchange) => pattern.test(exchange.body_text ?? '');
}

/** The difference is at this place. */
export function at(pattern: RegExp): Covers {
  return (_, difference) => pattern.test(difference.at);
}

/** In one of these groups. */
export function group(...names: readonly string[]): Covers {
  return (exchange) => names.includes(exchange.group);
}

/** It was not replayed. */
export const notReplayed: Covers = at(/^not replayed$/);

/** The name of the exchange is like this. */
export function named(pattern: RegExp): Covers {
  return ({ id }) => pattern.test(id);
}
