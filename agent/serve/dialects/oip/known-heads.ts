import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { atOnce } from '#shared/kernel/turns.js';
import { readHead, type RequestHead } from './oip-request.js';

/** JSON parts that are remembered, and the longest one that is: together they take little memory. */
const MOST_HEADS = 256;
const MOST_BYTES = 2 * 1024;

/**
 * JSON parts of requests that were read before: a client sends the same one with every request, in front of other data. Only a part
 * whose tensors all lie behind it is remembered, since data in it would differ from one request to the next.
 */
export class KnownHeads {
  readonly #heads = new BoundedMap<string, RequestHead>(MOST_HEADS);

  /** The JSON part as `readHead` reads it, which must not be changed; undefined for one that is not short. Errors: as `readHead`. */
  read(bytes: Buffer): RequestHead | undefined {
    if (bytes.byteLength > MOST_BYTES) return undefined;
    const text = bytes.toString('latin1');
    const known = this.#heads.get(text);
    if (known !== undefined) return known;
    const head = atOnce(readHead(bytes));
    if (head.described.every(({ size }) => size !== undefined)) this.#heads.set(text, head);
    return head;
  }
}
