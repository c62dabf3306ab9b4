import type { FromInstance, ToInstance } from './instance-protocol.js';

/** Where an instance runs: in a thread of the agent, or in a process of its own that can crash alone. */
export type CarrierKind = 'thread' | 'process';

/** How the thread or process behind a carrier ended. */
export interface CarrierEnd {
  /** In words: `exit code 1`, `signal SIGFPE`. */
  readonly how: string;
  /** The signal that ended a process. */
  readonly signal?: string;
  /** The exit code of a process that no signal ended. */
  readonly code?: number;
  /** Its JavaScript heap was full, which ends a process as a fault of native code does. */
  readonly heapFull?: boolean;
  /** It never ran: the system refused to start it. */
  readonly notStarted?: boolean;
  /** What an uncaught error in a thread was. */
  readonly cause?: unknown;
}

/** Carries messages to one instance and its answers back, in order. Knows nothing of what they mean. */
export interface Carrier {
  readonly kind: CarrierKind;
  /** Sends a message. Buffers in `move` are given away where the carrier can; nobody else may write to the bytes of the message. */
  post(message: ToInstance, move: readonly ArrayBuffer[]): void;
  /** Called once: `onMessage` for every answer, then `onEnd` when the thread or process is gone. */
  listen(onMessage: (message: FromInstance) => void, onEnd: (end: CarrierEnd) => void): void;
  /**
   * Gives up an instance that does not come back. A process is killed; a thread cannot be, lives on inside the runtime, and
   * keeps no longer the program from ending.
   */
  abandon(): void;
  /** Resident memory of a process of its own, bytes; `undefined` for a thread, and where the system does not say. */
  residentBytes(): Promise<number | undefined>;
  /** Memory that nobody shares with a process of its own and the kernel cannot drop, bytes; `undefined` as for `residentBytes`. */
  ownBytes(): Promise<number | undefined>;
}
