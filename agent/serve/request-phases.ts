import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import { type Next, type Observer, type Phase, Phases, type Row } from '#shared/kernel/phases.js';
import type { AccessLog } from './access-log.js';
import type { Access } from './access/access.js';
import { shownAddress } from './access/caller-address.js';
import type { Identity } from './access/identity.js';
import type { InFlight } from './in-flight.js';
import { CHANGES, type Incoming, type RequestSink } from './requests.js';
import type { Tracer } from './tracing/tracer.js';

export interface RequestDeps {
  readonly requests: RequestSink;
  readonly access: Pick<Access, 'identify' | 'check' | 'within'>;
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
  readonly began: Millis;
  /** Id of its trace, where there is one. */
  readonly trace?: string;
}

/** Of a request's path, and of a name, in the access log. */
const MAX_SHOWN = 1024;

type RequestPhase<Answer> = Phase<Identified<Answer>, Identified<Answer>, Answer>;
type RequestObserver<Answer> = Observer<Identified<Answer>, Answer>;

/** What stands around every request of every API and transport, from before it is read until its answer can be written. */
export function requestPhases<Answer>(deps: RequestDeps): Row<Incoming<Answer>, Answer> {
  const { tracer, accessLog, access } = deps;
  const identified = Phases.from<Incoming<Answer>, Answer>().phase<Identified<Answer>>('identify', identify(deps));
  const traced = tracer === undefined ? identified : identified.phase<Identified<Answer>>('trace', trace(tracer));
  const logged = accessLog === undefined ? traced : traced.observe('access log', logAccess(accessLog, deps));
  return logged
    .observe('count and log', countAndLog(deps))
    .observe('audit', audit(deps))
    .observe('advise', advise())
    .observe('admit', { enter: ({ identity, kind, model }) => access.check(identity, { call: kind.call, model }) })
    .observe('bound', bound(deps))
    .end('answer', ({ identity, kind, answer }) => access.within(identity, kind.call, answer));
}

/** Says who asks; whether they may is decided once the request is counted. */
function identify<Answer>({ access, clock }: RequestDeps): Phase<Incoming<Answer>, Identified<Answer>, Answer> {
  return (incoming, next) => {
    const began = clock.monotonic();
    const found = access.identify(incoming.caller);
    if (found instanceof Promise) return identifiedLater(found, incoming, began, next);
    // Each member by its name: for every request, a spread of all costs ten times as much.
    const { kind, what, model, caller, tell, answer } = incoming;
    return next({ kind, what, model, caller, tell, answer, identity: found, began });
  };
}

async function identifiedLater<Answer>(
  found: Promise<Identity>,
  incoming: Incoming<Answer>,
  began: Millis,
  next: Next<Identified<Answer>, Answer>,
): Promise<Answer> {
  return next({ ...incoming, identity: await found, began });
}

function trace<Answer>(tracer: Pick<Tracer, 'request'>): RequestPhase<Answer> {
  return (incoming, next) => tracer.request(incoming, (id) => next({ ...incoming, trace: id }));
}

function logAccess<Answer>(log: Pick<AccessLog, 'add'>, { clock }: Pick<RequestDeps, 'clock'>): RequestObserver<Answer> {
  const add = (incoming: Identified<Answer>, status: string, code?: string): void => {
    const { kind, what, model, identity, caller, began, trace: id } = incoming;
    const { transport, address } = caller;
    const millis = clock.monotonic() - began;
    const who = { transport, address: address === undefined ? undefined : shownAddress(address), client: identity.name };
    log.add({ ...who, ...kind, request: what.slice(0, MAX_SHOWN), model: model?.slice(0, MAX_SHOWN), status, code, millis, trace: id });
  };
  return {
    leave: (incoming, answer) => {
      add(incoming, 'OK');
      return answer;
    },
    failed: (incoming, cause) => {
      const { status, code } = asSkerryError(cause);
      add(incoming, status, code);
      return cause;
    },
  };
}

function countAndLog<Answer>({ requests, clock, logger }: RequestDeps): RequestObserver<Answer> {
  return {
    leave: ({ kind, what, began }, answer) => {
      requests.answered(kind, 'OK');
      logger.debug({ api: kind.api, call: kind.call, what, millis: clock.monotonic() - began }, 'request answered');
      return answer;
    },
    failed: ({ kind, what, began }, cause) => {
      const error = asSkerryError(cause);
      const fields = { ...kind, what, code: error.code, millis: clock.monotonic() - began };
      requests.answered(kind, error.status);
      if (error.entry.fault === 'ours') logger.error({ ...fields, cause }, error.message);
      else logger.debug(fields, 'request refused');
      return error;
    },
  };
}

/** Who changed what is served, or how, stays in the log. */
function audit<Answer>({ logger }: RequestDeps): RequestObserver<Answer> {
  const fieldsOf = ({ kind, what, model, identity, caller }: Identified<Answer>) => {
    return { audit: true, by: identity.name, address: caller.address ?? caller.transport, ...kind, what, model };
  };
  return {
    leave: (incoming, answer) => {
      if (CHANGES.has(incoming.kind.call)) logger.info(fieldsOf(incoming), 'change made for a client');
      return answer;
    },
    failed: (incoming, cause) => {
      if (CHANGES.has(incoming.kind.call)) {
        logger.warn({ ...fieldsOf(incoming), code: asSkerryError(cause).code }, 'change refused to a client');
      }
      return cause;
    },
  };
}

/** Tells the client in the words of its protocol when to ask again, or how to say who it is. */
function advise<Answer>(): RequestObserver<Answer> {
  return {
    failed: (incoming, cause) => {
      const { status, http, details } = asSkerryError(cause);
      // RFC 6750, 3.
      if (status === 'UNAUTHENTICATED') incoming.tell('www-authenticate', `Bearer realm="skerry"`);
      const wait = details?.['retryAfter'] ?? (http === 503 ? 1 : undefined);
      if (typeof wait === 'number') incoming.tell('retry-after', String(wait));
      return cause;
    },
  };
}

function bound<Answer>({ inFlight }: RequestDeps): RequestObserver<Answer> {
  return {
    enter: ({ kind }) => inFlight.enter(kind.call),
    leave: ({ kind }, answer) => {
      inFlight.leave(kind.call);
      return answer;
    },
    failed: ({ kind }, cause) => {
      inFlight.leave(kind.call);
      return cause;
    },
  };
}
