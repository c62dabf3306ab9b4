import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Next, type Phase, Phases, type Row } from '#shared/kernel/phases.js';
import type { AccessLog } from './access-log.js';
import type { Access } from './access/access.js';
import { shownAddress } from './access/caller-address.js';
import type { Identity } from './access/identity.js';
import type { InFlight } from './in-flight.js';
import { CHANGES, type Incoming, type RequestSink } from './requests.js';
import type { Tracer } from './tracing/tracer.js';

export interface RequestDeps {
  readonly requests: RequestSink;
  readonly access: Pick<Access, 'identify' | 'admit'>;
  readonly inFlight: InFlight;
  /** Left out: nothing is traced. */
  readonly tracer?: Pick<Tracer, 'request'> | undefined;
  /** Left out: there is no access log. */
  readonly accessLog?: Pick<AccessLog, 'add'> | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Logger;
}

/** A request of somebody. */
interface Identified<Answer> extends Incoming<Answer> {
  readonly identity: Identity;
  /** Id of its trace, where there is one. */
  readonly trace?: string;
}

/** Of a request's path, and of a name, in the access log. */
const MAX_SHOWN = 1024;

type RequestPhase<Answer> = Phase<Identified<Answer>, Identified<Answer>, Answer>;

/** What stands around every request of every API and transport, from before it is read until its answer can be written. */
export function requestPhases<Answer>(deps: RequestDeps): Row<Incoming<Answer>, Answer> {
  const { tracer, accessLog } = deps;
  const identified = Phases.from<Incoming<Answer>, Answer>().phase<Identified<Answer>>('identify', identify(deps));
  const traced = tracer === undefined ? identified : identified.phase<Identified<Answer>>('trace', trace(tracer));
  const logged = accessLog === undefined ? traced : traced.phase<Identified<Answer>>('access log', logAccess(accessLog, deps));
  return logged
    .phase<Identified<Answer>>('count and log', countAndLog(deps))
    .phase<Identified<Answer>>('audit', audit(deps))
    .phase<Identified<Answer>>('advise', advise)
    .phase<Identified<Answer>>('admit', admit(deps))
    .phase<Identified<Answer>>('bound', bound(deps))
    .end('answer', ({ answer }) => answer());
}

/** Says who asks; whether they may is decided once the request is counted. */
function identify<Answer>({ access }: RequestDeps): Phase<Incoming<Answer>, Identified<Answer>, Answer> {
  return (incoming, next) => {
    const found = access.identify(incoming.caller);
    return found instanceof Promise ? identifiedLater(found, incoming, next) : next({ ...incoming, identity: found });
  };
}

async function identifiedLater<Answer>(
  found: Promise<Identity>,
  incoming: Incoming<Answer>,
  next: Next<Identified<Answer>, Answer>,
): Promise<Answer> {
  return next({ ...incoming, identity: await found });
}

function trace<Answer>(tracer: Pick<Tracer, 'request'>): RequestPhase<Answer> {
  return (incoming, next) => tracer.request(incoming, (id) => next({ ...incoming, trace: id }));
}

function logAccess<Answer>(log: Pick<AccessLog, 'add'>, { clock }: Pick<RequestDeps, 'clock'>): RequestPhase<Answer> {
  return async (incoming, next) => {
    const { kind, what, model, identity, caller, trace: id } = incoming;
    const { transport, address } = caller;
    const began = clock.monotonic();
    const add = (status: string, code?: string): void => {
      const millis = clock.monotonic() - began;
      const who = { transport, address: address === undefined ? undefined : shownAddress(address), client: identity.name };
      log.add({ ...who, ...kind, request: what.slice(0, MAX_SHOWN), model: model?.slice(0, MAX_SHOWN), status, code, millis, trace: id });
    };
    try {
      const answer = await next(incoming);
      add('OK');
      return answer;
    } catch (cause) {
      const { status, code } = asSkerryError(cause);
      add(status, code);
      throw cause;
    }
  };
}

function countAndLog<Answer>({ requests, clock, logger }: RequestDeps): RequestPhase<Answer> {
  return async (incoming, next) => {
    const { kind, what } = incoming;
    const began = clock.monotonic();
    try {
      const answer = await next(incoming);
      requests.answered(kind, 'OK');
      logger.debug({ api: kind.api, call: kind.call, what, millis: clock.monotonic() - began }, 'request answered');
      return answer;
    } catch (cause) {
      const error = asSkerryError(cause);
      const fields = { ...kind, what, code: error.code, millis: clock.monotonic() - began };
      requests.answered(kind, error.status);
      if (error.entry.fault === 'ours') logger.error({ ...fields, cause }, error.message);
      else logger.debug(fields, 'request refused');
      throw error;
    }
  };
}

/** Who changed what is served, or how, stays in the log. */
function audit<Answer>({ logger }: RequestDeps): RequestPhase<Answer> {
  return (incoming, next) => (CHANGES.has(incoming.kind.call) ? audited(incoming, next, logger) : next(incoming));
}

async function audited<Answer>(incoming: Identified<Answer>, next: Next<Identified<Answer>, Answer>, logger: Logger): Promise<Answer> {
  const { kind, what, model, identity, caller } = incoming;
  const fields = { audit: true, by: identity.name, address: caller.address ?? caller.transport, ...kind, what, model };
  try {
    const answer = await next(incoming);
    logger.info(fields, 'change made for a client');
    return answer;
  } catch (cause) {
    logger.warn({ ...fields, code: asSkerryError(cause).code }, 'change refused to a client');
    throw cause;
  }
}

/** Tells the client in the words of its protocol when to ask again, or how to say who it is. */
async function advise<Answer>(incoming: Identified<Answer>, next: Next<Identified<Answer>, Answer>): Promise<Answer> {
  try {
    return await next(incoming);
  } catch (cause) {
    const { status, http, details } = asSkerryError(cause);
    // RFC 6750, 3.
    if (status === 'UNAUTHENTICATED') incoming.tell('www-authenticate', `Bearer realm="skerry"`);
    const wait = details?.['retryAfter'] ?? (http === 503 ? 1 : undefined);
    if (typeof wait === 'number') incoming.tell('retry-after', String(wait));
    throw cause;
  }
}

function admit<Answer>({ access }: RequestDeps): RequestPhase<Answer> {
  return async (incoming, next) => {
    const { identity, kind, model } = incoming;
    return access.admit(identity, { call: kind.call, model }, () => next(incoming));
  };
}

function bound<Answer>({ inFlight }: RequestDeps): RequestPhase<Answer> {
  return async (incoming, next) => {
    const leave = inFlight.enter(incoming.kind.call);
    try {
      return await next(incoming);
    } finally {
      leave();
    }
  };
}
