import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type Phase, Phases, type Row } from '#shared/kernel/phases.js';
import type { Status } from '#shared/kernel/status.js';

/** What calls can be about: rights and limits go by it, and access files name them. */
export const CALL_GROUPS = [
  'inference',
  /** What is served, and how: server, models, their configuration, the index of the repository, settings as they are. */
  'metadata',
  'health',
  /** How often and how long models ran. */
  'statistics',
  /** What applications tell of answers. */
  'feedback',
  /** Loads or unloads a model. */
  'repository',
  /** Changes a setting of the server. */
  'settings',
  /** Registers or unregisters memory that requests name. */
  'shared-memory',
  /** State of the agent, and its metrics. */
  'management',
] as const;

export type CallGroup = (typeof CALL_GROUPS)[number];

/** What a call is about; `unknown` where no API takes it. */
export type CallKind = CallGroup | 'unknown';

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

/** Who sent a request, as far as its transport knows. */
export interface Caller {
  /** Only users of this machine that the file's permissions admit reach a Unix socket. */
  readonly transport: 'tcp' | 'unix';
  /** IP address of the other end, where it has one. */
  readonly address: string | undefined;
  /** A header (HTTP) or entry of the metadata (gRPC), by its name in lower case. */
  readonly header: (name: string) => string | undefined;
}

/** A request, whatever carried it, and the work that answers it. */
export interface Incoming<Answer> {
  readonly kind: RequestKind;
  /** As the log names it. */
  readonly what: string;
  /** Name of the model, as the client wrote it, where it is known before the body is read (HTTP) or from the message (gRPC). */
  readonly model?: string | undefined;
  readonly caller: Caller;
  /** Adds a header (HTTP) or an entry of the metadata (gRPC) to the answer, also to an error. The name is in lower case. */
  readonly tell: (name: string, value: string) => void;
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
