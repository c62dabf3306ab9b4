import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#shared/kernel/clock.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { Caller } from '../requests.js';
import type { AccessRules, Standing } from './access-file.js';
import { networkOf, shownAddress } from './caller-address.js';
import type { Rate } from './decide/token-bucket.js';
import type { Identity } from './identity.js';
import { RateLimiter } from './rate-limiter.js';
import type { KeySource } from './tokens/key-source.js';
import { holderOf, isSigned, keysFor, problemOf, readToken, type ReadToken } from './tokens/token.js';

/** Wrong credentials that one address may send. Beyond it nothing but known keys is looked at: guesses must cost us nothing. */
const FAILURES: Rate = { perSecond: 1 / 6, burst: 10 };
/** Tokens whose signature was verified lately. */
const VERIFIED_TOKENS = 1_024;

interface AuthenticatorDeps {
  readonly rules: AccessRules;
  /** Keys of tokens, where the rules know tokens. */
  readonly keys: KeySource | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Verified {
  readonly identity: Identity;
  readonly expires: EpochMillis;
}

/** Tells who callers are by one access file. */
export class Authenticator {
  readonly #deps: AuthenticatorDeps;
  readonly #failures: RateLimiter;
  readonly #verified = new BoundedMap<string, Verified>(VERIFIED_TOKENS);

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
    this.#failures = new RateLimiter(deps.clock);
  }

  /** Forgets which tokens were verified: their keys may be gone. */
  forgetTokens(): void {
    this.#verified.clear();
  }

  /** Never throws nor rejects. Only a token that names an unknown key is waited for. */
  identify(caller: Caller): Identity | Promise<Identity> {
    const given = credentialOf(caller);
    if (given === undefined) return this.#withoutCredentials(caller);
    const digest = createHash('sha256').update(given).digest();
    return this.#byKey(digest, caller) ?? this.#byToken(given, digest.toString('hex'), caller);
  }

  #withoutCredentials(caller: Caller): Identity {
    const { socket, anonymous } = this.#deps.rules;
    if (caller.transport === 'unix') return { ...socket, name: 'socket', anonymous: true, client: 'socket' };
    return { ...anonymous, name: 'anonymous', anonymous: true, client: clientOf(caller) };
  }

  /**
   * Looking a digest up tells nothing by its time: whoever sends a key cannot choose the digest that it has, and the whole of it is compared
   * in constant time.
   */
  #byKey(digest: Buffer, caller: Caller): Identity | undefined {
    const key = this.#deps.rules.keys.get(digest.toString('hex'));
    if (key === undefined || !timingSafeEqual(key.digest, digest)) return undefined;
    const { name, grants, rate, expires } = key;
    if (this.#deps.clock.now() >= expires) return this.#failed(caller, `the key of ${name} has expired`);
    return { name, grants, rate, anonymous: false, client: `key ${name}` };
  }

  #byToken(text: string, digest: string, caller: Caller): Identity | Promise<Identity> {
    const { keys, rules, clock } = this.#deps;
    const { tokens } = rules;
    const known = this.#verified.get(digest);
    if (known !== undefined && clock.now() < known.expires) return known.identity;
    const wait = this.#failures.waits(clientOf(caller), FAILURES);
    if (wait !== undefined) return this.#refused(caller, tooManyFailures(wait));
    const token = keys === undefined || tokens === undefined ? undefined : readToken(text);
    if (token === undefined || keys === undefined || tokens === undefined) return this.#failed(caller, 'the key or token is not known');
    const problem = problemOf(token, tokens, clock.now());
    if (problem !== undefined) return this.#failed(caller, problem);
    const accept = (): Identity => this.#verify(token, keys, digest, caller);
    return isKnown(token, keys) ? accept() : keys.renew().then(accept);
  }

  #verify(token: ReadToken, keys: KeySource, digest: string, caller: Caller): Identity {
    const { tokens } = this.#deps.rules;
    if (tokens === undefined) return this.#failed(caller, 'tokens are not accepted');
    let signed: boolean;
    try {
      signed = isSigned(token, keysFor(token, keys.keys()));
    } catch (cause) {
      // A check that cannot be made stops.
      return this.#refused(caller, asSkerryError(cause));
    }
    if (!signed) return this.#failed(caller, 'no key of the issuer made the signature of the token');
    const { subject, roles, expires } = holderOf(token, tokens);
    const identity = { ...tokens.standingOf(roles), name: subject, anonymous: false, client: `token ${subject}` };
    this.#verified.set(digest, { identity, expires });
    return identity;
  }

  /** Wrong credentials are not taken for none: whoever sends them hears of it. */
  #failed(caller: Caller, reason: string): Identity {
    if (this.#failures.take(clientOf(caller), FAILURES) === undefined) {
      const address = caller.address === undefined ? caller.transport : shownAddress(caller.address);
      this.#deps.logger.warn({ address, reason }, 'credentials refused');
    }
    return this.#refused(caller, new SkerryError('SERVE_UNAUTHENTICATED', `the credentials are refused: ${reason}`));
  }

  #refused(caller: Caller, problem: SkerryError): Identity {
    const nothing: Standing = { grants: [], rate: this.#deps.rules.anonymous.rate };
    return { ...nothing, name: 'unknown', anonymous: true, client: clientOf(caller), problem };
  }
}

function isKnown(token: ReadToken, source: KeySource): boolean {
  try {
    return keysFor(token, source.keys()).length > 0;
  } catch {
    return false;
  }
}

function tooManyFailures(wait: number): SkerryError {
  return new SkerryError('SERVE_RATE_LIMIT', 'this address sent too many wrong credentials', {
    details: { retryAfter: Math.ceil(wait / 1000) },
  });
}

/** Key or token of a request: `x-api-key`, or a bearer token (RFC 6750) that may be either. */
function credentialOf({ header }: Caller): string | undefined {
  const key = header('x-api-key');
  if (key !== undefined) return key;
  const authorization = header('authorization');
  // Another scheme is as wrong as another key: it must not pass as no credentials.
  return authorization === undefined ? undefined : (/^bearer +(\S+) *$/i.exec(authorization)?.[1] ?? authorization);
}

function clientOf({ address }: Caller): string {
  return address === undefined ? 'socket' : `address ${networkOf(address)}`;
}
