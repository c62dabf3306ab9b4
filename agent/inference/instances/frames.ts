import { SkerryError } from '#shared/kernel/errors.js';

// Messages between the agent and a process that runs a model. A frame is the length of its head (4 bytes, little-endian), the
// head (JSON in UTF-8), and behind it the bytes of every Uint8Array in the message, in the order of the head.

/** Largest head: names, shapes and errors, no tensor data. */
const MAX_HEAD_BYTES = 64 * 1024 * 1024;

const COPY_UP_TO = 64 * 1024;

const BYTES = '$bytes';
/** A name of a message's own that begins like these has another of these in front. */
const ESCAPE = '$';
/** JSON has no form for these numbers. */
const NUMBER = '$number';

/** The pieces of a frame, to be written one after the other; many bytes are not copied. */
export function encodeFrame(message: object): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  const text = JSON.stringify(message, function replace(this: Record<string, unknown>, key: string, value: unknown): unknown {
    // Read here, since a Buffer has turned itself into something else for `value`.
    const original = this[key];
    if (original instanceof Uint8Array) {
      if (original.byteLength > 0) parts.push(original);
      return { [BYTES]: original.byteLength };
    }
    return typeof value === 'number' && !Number.isFinite(value)
      ? { [NUMBER]: String(value) }
      : renamed(value, ESCAPE, (name) => ESCAPE + name);
  });
  const head = Buffer.allocUnsafe(4 + Buffer.byteLength(text));
  head.writeUInt32LE(head.byteLength - 4);
  head.write(text, 4);
  // One write costs less than several, up to where copying costs more.
  const total = parts.reduce((sum, part) => sum + part.byteLength, head.byteLength);
  return total <= COPY_UP_TO ? [Buffer.concat([head, ...parts], total)] : [head, ...parts];
}

interface Open {
  readonly message: unknown;
  /** Parts still to be filled, in order. */
  readonly parts: Uint8Array[];
}

/** Puts frames together from the pieces a stream delivers, and calls `deliver` with each message once it is whole. */
export class FrameReader {
  readonly #deliver: (message: unknown) => void;
  readonly #prefix = Buffer.alloc(4);
  /** What is being filled, and how far. */
  #target: Uint8Array = this.#prefix;
  #filled = 0;
  #open: Open | undefined;

  constructor(deliver: (message: unknown) => void) {
    this.#deliver = deliver;
  }

  /** Throws `INTERNAL` when the stream is none of frames. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.byteLength) {
      const length = Math.min(chunk.byteLength - at, this.#target.byteLength - this.#filled);
      this.#target.set(chunk.subarray(at, at + length), this.#filled);
      this.#filled += length;
      at += length;
      if (this.#filled === this.#target.byteLength) this.#next();
    }
  }

  #next(): void {
    this.#filled = 0;
    if (this.#open !== undefined) return this.#fill(this.#open);
    if (this.#target !== this.#prefix) return this.#fill(openFrame(this.#target));
    const length = this.#prefix.readUInt32LE();
    if (length === 0 || length > MAX_HEAD_BYTES) throw new SkerryError('INTERNAL', `a frame cannot have a head of ${length} bytes`);
    this.#target = new Uint8Array(length);
  }

  #fill(open: Open): void {
    const part = open.parts.shift();
    this.#open = part === undefined ? undefined : open;
    this.#target = part ?? this.#prefix;
    if (part === undefined) this.#deliver(open.message);
  }
}

/** Reads a head; its byte arrays are made, and empty for now. */
function openFrame(head: Uint8Array): Open {
  const parts: Uint8Array[] = [];
  const message: unknown = JSON.parse(new TextDecoder().decode(head), (_key, value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Object.hasOwn(value, NUMBER)) return Number(Reflect.get(value, NUMBER));
    if (!Object.hasOwn(value, BYTES)) return renamed(value, ESCAPE + ESCAPE, (name) => name.slice(1));
    const bytes = new Uint8Array(Number(Reflect.get(value, BYTES)));
    if (bytes.byteLength > 0) parts.push(bytes);
    return bytes;
  });
  return { message, parts };
}

/** A value in which the keys that begin with `prefix` are called otherwise; itself where it has none. */
function renamed(value: unknown, prefix: string, rename: (name: string) => string): unknown {
  if (typeof value !== 'object' || value === null || !Object.keys(value).some((name) => name.startsWith(prefix))) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]: [string, unknown]) => [name.startsWith(prefix) ? rename(name) : name, inner]),
  );
}

/** A message as one of those that belong to this direction; throws `INTERNAL` for any other. */
export function narrow<M>(message: unknown, isOne: (message: unknown) => message is M): M {
  if (isOne(message)) return message;
  throw new SkerryError('INTERNAL', 'a message between the agent and the process of a model is none that they exchange');
}
