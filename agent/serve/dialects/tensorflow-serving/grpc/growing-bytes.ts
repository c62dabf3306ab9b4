import { SkerryError } from '#shared/kernel/errors.js';

/** Bytes whose number shows only in the end. */
export class GrowingBytes {
  readonly #most: number;
  readonly #what: string;
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;

  /** `what` is told where they would be more than `most`. */
  constructor(most: number, what: string) {
    this.#most = most;
    this.#what = what;
  }

  get size(): number {
    return this.#size;
  }

  /** Over all there is room for; it is another one after `extend`. */
  get view(): DataView {
    return this.#view;
  }

  /** Makes room for more at the end; gives where. Errors: `INPUT_TOO_LARGE`. */
  extend(count: number): number {
    const at = this.#size;
    this.#size += count;
    if (this.#size > this.#most) throw new SkerryError('INPUT_TOO_LARGE', `${this.#what} has more than ${this.#most} bytes`);
    if (this.#size > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(this.#size, Math.min(this.#most, 2 * this.#bytes.byteLength)));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  append(bytes: Uint8Array): void {
    const at = this.extend(bytes.byteLength);
    this.#bytes.set(bytes, at);
  }

  /** What there is now: a view. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  clear(): void {
    this.#size = 0;
  }
}
