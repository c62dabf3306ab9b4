import { SkerryError } from '#shared/kernel/errors.js';

/** Bodies up to this size are not counted: together they are bounded by the number of requests in flight. */
export const SMALL_BODY = 64 * 1024;

/** Memory that the bodies of all requests in flight may take, whatever carries them: HTTP, gRPC, and what is read from shared memory. */
export class BodyMemory {
  readonly #max: number;
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** `SERVE_BUSY` when there is not as much left. */
  take(bytes: number): void {
    if (this.#taken + bytes > this.#max) {
      throw new SkerryError('SERVE_BUSY', `the bodies of requests in flight take ${this.#taken} of ${this.#max} bytes; no more fits now`);
    }
    this.#taken += bytes;
  }

  release(bytes: number): void {
    this.#taken -= bytes;
  }

  /** Takes what a body of known size takes; gives what releases it. Errors: as `take`. */
  hold(bytes: number): () => void {
    if (bytes <= SMALL_BODY) return NOTHING;
    this.take(bytes);
    return () => this.release(bytes);
  }
}

const NOTHING = (): void => undefined;
