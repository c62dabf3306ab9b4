import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Phase, Phases, type Row } from '#shared/kernel/phases.js';
import type { Status } from '#shared/kernel/status.js';

/** What a call is about; limits and rights go by it. */
export type CallKind = 'inference' | 'metadata' | 'health' | 'feedback' | 'management' | 'unknown';

/** What a request is counted as. */
export interface RequestKind {
  /** Dialect, or our own API. */
  readonly api: string;
  readonly call: CallKind;
}

/** Where requests are counted; must not block. */
export interface RequestSink {
  answered(kind: RequestKind, status: Status | 'OK'): void;
}

/** A request, whatever carried it, and the work that answers it. */
export interface Incoming<Answer> {
  readonly kind: RequestKind;
  /** As the log names it. */
  readonly what: string;
  readonly answer: () => Promise<Answer>;
}

interface RequestDeps {
  readonly requests: RequestSink;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly logger: Logger;
}

/** What stands around every request of every API and transport, from before it is read until its answer can be written. */
export function requestPhases<Answer>(deps: RequestDeps): Row<Incoming<Answer>, Answer> {
  return Phases.from<Incoming<Answer>, Answer>()
    .phase('count and log', countAndLog(deps))
    .end('answer', ({ answer }) => answer());
}

function countAndLog<Answer>({ requests, clock, logger }: RequestDeps): Phase<Incoming<Answer>, Incoming<Answer>, Answer> {
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
