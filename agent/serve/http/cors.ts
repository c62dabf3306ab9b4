import type { IncomingHttpHeaders } from 'node:http';
import { SkerryError } from '#shared/kernel/errors.js';
import { type CallKind, CHANGES } from '../requests.js';
import type { HttpAnswer } from './exchange.js';

/** How long a browser remembers what it was told, in seconds. */
const MAX_AGE = 600;

/** What web pages of other origins may do (Fetch Standard, "CORS protocol"). */
export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** What every answer to such a page needs; undefined where its origin is not allowed, or it is no such page. */
  headersFor({ origin }: IncomingHttpHeaders): Readonly<Record<string, string>> | undefined {
    if (origin === undefined || !this.#allows(origin)) return undefined;
    return { 'access-control-allow-origin': origin, 'access-control-expose-headers': '*', vary: 'Origin' };
  }

  /** The answer to a browser that asks before it sends a request; undefined for any other request. It is asked without credentials. */
  preflight(method: string | undefined, headers: IncomingHttpHeaders): HttpAnswer | undefined {
    if (
      method !== 'OPTIONS' ||
      headers['access-control-request-method'] === undefined ||
      headers.origin === undefined ||
      !this.#allows(headers.origin)
    )
      return undefined;
    return {
      status: 200,
      headers: {
        'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
        'access-control-allow-headers': headers['access-control-request-headers'] ?? '*',
        'access-control-max-age': String(MAX_AGE),
      },
      body: [],
    };
  }

  /**
   * Refuses a change that a page of a stranger asks for: a browser sends some requests without asking first, and a listener on loopback is in
   * reach of every page. Errors: `SERVE_ACCESS_DENIED`.
   */
  check({ origin }: IncomingHttpHeaders, call: CallKind): void {
    if (origin === undefined || !(CHANGES.has(call) || call === 'feedback') || this.#allows(origin)) return;
    throw new SkerryError(
      'SERVE_ACCESS_DENIED',
      `web pages of ${origin.slice(0, 256)} may not make ${call} calls; --cors-origins allows origins`,
    );
  }

  #allows(origin: string): boolean {
    return this.#origins.has('*') || this.#origins.has(origin);
  }
}
