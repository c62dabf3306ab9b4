import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { CALL_GROUPS, type CallGroup, type Caller, type CallKind } from '../requests.js';
import { EVERYTHING } from './access-file.js';
import type { AccessSource } from './access-source.js';
import { type Refusal, refusalOf } from './decide/rights.js';
import type { Identity } from './identity.js';
import type { ModelGuard } from './model-guard.js';
import { RateLimiter } from './rate-limiter.js';

/** What a request asks for. */
export interface Asked {
  readonly call: CallKind;
  readonly model: string | undefined;
}

interface Admitted {
  readonly identity: Identity;
  readonly call: CallKind;
}

/** Without an access file: what changes how the agent works is for users of the Unix socket. Credentials are for somebody else then. */
const OPEN: Readonly<Record<Caller['transport'], Identity>> = {
  tcp: {
    name: 'anonymous',
    anonymous: true,
    client: 'anonymous',
    grants: [{ calls: new Set(CALL_GROUPS.filter((call) => call !== 'settings')), models: ['*'] }],
    rate: undefined,
  },
  unix: { name: 'socket', anonymous: true, client: 'socket', grants: [EVERYTHING], rate: undefined },
};

interface AccessDeps {
  /** Left out: no access file. */
  readonly source?: AccessSource | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Who may do what. Stands around every request of every API and transport, and before the models that dialects reach. */
export class Access implements ModelGuard {
  readonly #source: AccessSource | undefined;
  readonly #limiter: RateLimiter;
  /** The request under way. */
  readonly #admitted = new AsyncLocalStorage<Admitted>();

  constructor({ source, clock }: AccessDeps) {
    this.#source = source;
    this.#limiter = new RateLimiter(clock);
  }

  /** Rights differ by model, so that what dialects reach has to be guarded. */
  get guards(): boolean {
    return this.#source !== undefined;
  }

  /** Who the caller is; never rejects, since wrong credentials are an answer like others, which is counted and logged. */
  identify(caller: Caller): Identity | Promise<Identity> {
    return this.#source?.authenticator.identify(caller) ?? OPEN[caller.transport];
  }

  /** Does the work for a caller who may ask for it, and not too often. Errors: as `check`. */
  admit<Answer>(identity: Identity, asked: Asked, work: () => Promise<Answer>): Promise<Answer> {
    this.check(identity, asked);
    return this.within(identity, asked.call, work);
  }

  /** Refuses who may not ask, or asks too often. Errors: `SERVE_UNAUTHENTICATED`, `SERVE_ACCESS_DENIED`, `SERVE_RATE_LIMIT`. */
  check(identity: Identity, { call, model }: Asked): void {
    const { problem, rate, client, grants } = identity;
    if (problem !== undefined && call !== 'unknown') throw problem;
    const wait = rate === undefined ? undefined : this.#limiter.take(client, rate);
    if (wait !== undefined) throw tooOften(identity, Math.ceil(wait / 1000));
    const refusal = refusalOf(grants, call, model);
    if (refusal !== undefined) throw this.guards ? denial(identity, call, refusal, model) : closed(call);
  }

  /** Does the work of a request that passed `check`, in which models are guarded. */
  within<Answer>(identity: Identity, call: CallKind, work: () => Promise<Answer>): Promise<Answer> {
    return this.guards ? this.#admitted.run({ identity, call }, work) : work();
  }

  require(model: string, call?: CallGroup): void {
    const admitted = this.#admitted.getStore();
    if (admitted === undefined) throw new SkerryError('SERVE_ACCESS_DENIED', `model ${model} was asked for outside of a request`);
    const asked = call ?? admitted.call;
    // What no API takes needs no right and reaches no model.
    const refusal = asked === 'unknown' ? 'call' : refusalOf(admitted.identity.grants, asked, model);
    if (refusal !== undefined) throw denial(admitted.identity, asked, refusal, model);
  }

  shows(model: string): boolean {
    const admitted = this.#admitted.getStore();
    if (admitted === undefined || admitted.call === 'unknown') return false;
    return refusalOf(admitted.identity.grants, admitted.call, model) === undefined;
  }
}

function tooOften({ name, anonymous }: Identity, retryAfter: number): SkerryError {
  const who = anonymous ? 'this address' : name;
  return new SkerryError('SERVE_RATE_LIMIT', `${who} asks too often; ask again in ${retryAfter} s`, { details: { retryAfter } });
}

function denial({ name, anonymous }: Identity, call: CallKind, refusal: Refusal, model: string | undefined): SkerryError {
  const what =
    refusal === 'model' && model !== undefined ? `${call} calls for model ${JSON.stringify(model.slice(0, 128))}` : `${call} calls`;
  const scope = refusal === 'model' && model === undefined ? `${what}, which concern all models` : what;
  return anonymous
    ? new SkerryError('SERVE_UNAUTHENTICATED', `${scope} need a key or token`)
    : new SkerryError('SERVE_ACCESS_DENIED', `${name} may not make ${scope}`);
}

function closed(call: CallKind): SkerryError {
  return new SkerryError('SERVE_ACCESS_DENIED', `${call} calls over TCP are off: an access file (--access-file) can allow them`);
}
