import { SkerryError } from '#shared/kernel/errors.js';
import type { CallGroup, CallKind } from './requests.js';

/** Who watches the agent must reach it above all when it is busy. */
const ALWAYS: ReadonlySet<CallKind> = new Set<CallGroup>(['health', 'management']);

/** Requests of every transport that are being read or answered. */
export class InFlight {
  readonly #max: number;
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a request in, until `leave`. `SERVE_BUSY` when there are as many as may be. */
  enter(call: CallKind): void {
    if (ALWAYS.has(call)) return;
    if (this.#count >= this.#max) throw new SkerryError('SERVE_BUSY', `${this.#max} requests are in flight, as many as are accepted`);
    this.#count += 1;
  }

  /** Counts out a request that was counted in. */
  leave(call: CallKind): void {
    if (!ALWAYS.has(call)) this.#count -= 1;
  }
}
