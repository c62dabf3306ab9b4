import { SkerryError } from '#shared/kernel/errors.js';
import { type Capability, CAPABILITIES, roleMay } from '#hub/kernel/roles.js';
import type { FailureLimiter } from '#hub/kernel/failure-limiter.js';
import type { Caller, TokenCaller } from './route.js';
import type { ApiTokens } from './tokens.js';

export interface Credentials {
  /** Value of the Authorization header. */
  readonly authorization: string | undefined;
  /** Network address the request came from. */
  readonly source: string;
}

/** Decides who a request comes from and whether it may go on; fails closed. */
export class Authenticator {
  readonly #tokens: ApiTokens;
  readonly #limiter: FailureLimiter;

  constructor(tokens: ApiTokens, limiter: FailureLimiter) {
    this.#tokens = tokens;
    this.#limiter = limiter;
  }

  /**
   * The holder of the bearer token (RFC 6750, 2.1). Throws `API_UNAUTHENTICATED`, or `API_RATE_LIMITED` after too many failed
   * attempts from the same address. A valid token is let in all the same: others behind the same address must not lock it out.
   */
  async authenticate({ authorization, source }: Credentials): Promise<TokenCaller> {
    if (authorization === undefined) {
      this.#checkRate(source);
      throw new SkerryError('API_UNAUTHENTICATED', 'this needs a token, and none was sent');
    }
    const token = /^Bearer ([^\s]{1,256})$/i.exec(authorization)?.[1];
    const caller = token === undefined ? undefined : await this.#tokens.verify(token);
    if (caller !== undefined) return caller;
    this.#checkRate(source);
    this.#limiter.failed(source);
    throw new SkerryError('API_UNAUTHENTICATED', 'the token is unknown, revoked or expired');
  }

  #checkRate(source: string): void {
    const wait = this.#limiter.waitOf(source);
    if (wait === 0) return;
    const retryAfterSeconds = Math.ceil(wait / 1_000);
    throw new SkerryError('API_RATE_LIMITED', `too many failed attempts from ${source}; try again in ${retryAfterSeconds} s`, {
      details: { retryAfterSeconds },
    });
  }
}

/** Throws `API_FORBIDDEN` unless the caller's role has the capability. */
export function authorize(caller: Caller, capability: Capability): void {
  if (caller.kind === 'token' && roleMay(caller.role, capability)) return;
  const role = caller.kind === 'token' ? caller.role : 'anonymous';
  throw new SkerryError('API_FORBIDDEN', `the role "${role}" may not ${capability}; these may: ${CAPABILITIES[capability].join(', ')}`, {
    details: { capability, roles: CAPABILITIES[capability] },
  });
}
