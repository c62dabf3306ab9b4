import type { Difference } from './compare.js';
import type { HttpExchange } from './record.js';

/** A way in which we differ on purpose from a server that was recorded: a row of the table in docs/PROTOCOL.md. */
export interface DifferenceRule {
  /** What they do and what we do, in a few words. */
  readonly what: string;
  readonly reason: string;
  /** Whether this difference is one of these. */
  readonly covers: (exchange: HttpExchange, difference: Difference) => boolean;
}
