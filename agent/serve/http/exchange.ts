import type { IncomingHttpHeaders } from 'node:http';
import type { Recipient } from '#agent/inference/contract.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { CallKind } from '../requests.js';
import type { Body } from './body.js';
import type { Routable } from './router.js';

/** A request over HTTP as a route sees it. */
export interface Exchange extends Recipient {
  /** Named segments of the path. */
  readonly params: Readonly<Record<string, string>>;
  /** Of the request target, decoded; the first of several with one name. */
  readonly query: Pick<URLSearchParams, 'get' | 'has' | 'getAll'>;
  readonly headers: IncomingHttpHeaders;
  /**
   * Reads the body, of at most as many bytes as the settings accept, or fewer. `alignedAt`: a place from which numbers are read where they
   * lie. Errors: as `readBody`.
   */
  body(limit?: number, alignedAt?: number): Promise<Body>;
}

/** An answer ready to be written. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What is not a list is of unknown length, and written as it comes. */
  readonly body: readonly (string | Uint8Array)[] | AsyncIterable<string | Uint8Array>;
}

/** An answer that is one text. */
export type ShortAnswer = HttpAnswer & { readonly body: readonly [string] };

export type Handler = (exchange: Exchange) => HttpAnswer | Promise<HttpAnswer>;

/**
 * A route as data. The segment of its path that names a model is `:model`. Rights go by `call`: reading what is
 * set or loaded is `metadata`, changing it is `settings`, `repository` or `shared-memory`.
 */
export interface HttpRoute extends Routable {
  readonly call: CallKind;
  readonly handle: Handler;
}

/** One API over HTTP: its routes, and the form that its errors have. */
export interface HttpApi {
  readonly routes: readonly HttpRoute[];
  readonly error: (error: SkerryError) => ShortAnswer;
}
