import type { Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { batchKey } from '#shared/tensor/rows.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import type { Recipient } from '../contract.js';
import type { RunTimes } from '../statistics/servable-statistics.js';

/** One request as the scheduler takes it: already checked against the model. */
export interface Work {
  readonly inputs: NamedTensors;
  readonly outputs: readonly string[] | undefined;
  /** Time until its answer. */
  readonly timeout: Millis;
  /** Longest time in the queue that the caller asks for; acts where the policy of the queue allows it. */
  readonly queueTimeout?: Millis | undefined;
  /** Level of urgency, 1 the most urgent. */
  readonly priority?: number | undefined;
  /** The caller named a timeout shorter than the default. */
  readonly hurried?: boolean | undefined;
  /** The answer came after the timeout, when the caller had its error already. */
  readonly late?: ((timing: Pick<WorkResult, 'queue' | 'compute'>) => void) | undefined;
  readonly owned: boolean;
  /** Who waits for the answer; left out: somebody who always does. */
  readonly recipient?: Recipient | undefined;
  /** Golden samples, and no request: its runs are not counted. */
  readonly isSample?: true;
}

export interface WorkResult extends RunTimes {
  readonly outputs: NamedTensors;
  readonly queue: Millis;
  /** Along dimension 0, where the version has batches; else 1. */
  readonly rows: number;
}

interface ItemParts {
  readonly work: Work;
  /** Undefined: its inputs do not agree on a number of rows, or rows do not count. */
  readonly rows: number | undefined;
  readonly level: number;
  readonly enqueuedAt: Millis;
  readonly queueUntil: Millis;
  readonly resolve: (result: WorkResult) => void;
  readonly reject: (error: SkerryError) => void;
}

/** A request in the scheduler's hands. INVARIANT: it is settled once. */
export class Item {
  readonly work: Work;
  readonly rows: number;
  /** All its inputs agree on the number of rows. */
  readonly rowed: boolean;
  /** Place of its level of priority. */
  readonly level: number;
  readonly enqueuedAt: Millis;
  /** When its time in the queue is over. */
  queueUntil: Millis;
  /** When the caller has its answer at the latest. */
  readonly deadline: Millis;
  alone: boolean;
  settled = false;
  /** The caller heard that its time is over. */
  expired = false;
  readonly #resolve: (result: WorkResult) => void;
  readonly #reject: (error: SkerryError) => void;
  #key: string | undefined;

  constructor({ work, rows, level, enqueuedAt, queueUntil, resolve, reject }: ItemParts) {
    this.work = work;
    this.rows = rows ?? 1;
    this.rowed = rows !== undefined;
    this.alone = rows === undefined;
    this.level = level;
    this.enqueuedAt = enqueuedAt;
    this.queueUntil = queueUntil;
    this.deadline = enqueuedAt + work.timeout;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Found only when two requests are compared. */
  get key(): string {
    this.#key ??= batchKey(this.work.inputs);
    return this.#key;
  }

  resolve(result: WorkResult): void {
    if (this.settled) return;
    this.settled = true;
    this.#resolve(result);
  }

  reject(error: SkerryError): void {
    if (this.settled) return;
    this.settled = true;
    this.#reject(error);
  }

  /** It was started with others, and a run of its own has to show whose fault their failure was. Its time in the queue is behind it. */
  runAgainAlone(): void {
    this.alone = true;
    this.queueUntil = Number.POSITIVE_INFINITY;
  }

  /** Its caller has waited as long as it allowed. */
  expire(where: string): void {
    this.expired = true;
    const code = this.work.hurried === true ? 'INFERENCE_TIMEOUT_SHORT' : 'INFERENCE_TIMEOUT';
    this.reject(new SkerryError(code, `the ${this.work.timeout} ms allowed passed ${where}`));
  }
}
