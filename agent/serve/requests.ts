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

/** Calls that change what is served, or how. */
export const CHANGES: ReadonlySet<CallKind> = new Set<CallGroup>(['repository', 'settings', 'shared-memory']);

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
