import { LIMITS } from '#shared/kernel/limits.js';

/** Bytes of JSON's grammar (RFC 8259). */
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPEN_ARRAY = 0x5b;
export const BACKSLASH = 0x5c;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
export const MINUS = 0x2d;
const ZERO = 0x30;
export const NINE = 0x39;

/** What the scanner gives for a byte beyond the end. */
export const END = -1;

/** Python's words for numbers that are not finite. */
const WORDS: readonly (readonly [string, number])[] = [
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
];

/** Whole numbers that fit into 64 bits; a longer one fits into no tensor. */
const LONG_INTEGER = /^-?\d{16,20}$/;

/** Thrown where the text stops being JSON; whoever scans says of what. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** Moves through JSON text token by token and checks it; it builds no values. */
export class JsonScanner {
  readonly bytes: Buffer;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.byteLength) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
    this.end = end;
  }

  /** Skips white space; gives the byte that follows, or END. */
  next(): number {
    const { bytes } = this;
    const end = Math.min(this.end, this.at + LIMITS.jsonStringBytes);
    let { at } = this;
    while (at < end) {
      const byte = bytes[at] ?? END;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        this.at = at;
        return byte;
      }
      at++;
    }
    this.at = at;
    if (at < this.end) throw new JsonSyntaxError(`it has more than ${LIMITS.jsonStringBytes} bytes of white space in one place`);
    return END;
  }

  /** Goes over a number, `true`, `false` or `null`. */
  scalar(byte: number): void {
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) this.#number(byte);
    else if (byte === 0x74) this.#word('true');
    else if (byte === 0x66) this.#word('false');
    else if (byte === 0x6e) this.#word('null');
    else this.fail();
  }

  /** Goes over a number, `true`, `false` or `null`; gives its value. */
  scalarValue(byte: number): unknown {
    const start = this.at;
    this.scalar(byte);
    return JSON.parse(this.bytes.toString('latin1', start, this.at));
  }

  /**
   * As `scalarValue`, of what Python's `json` module reads and writes besides: the words NaN, Infinity and -Infinity. A whole number
   * beyond 2^53 keeps its digits, as a bigint.
   */
  pythonScalarValue(byte: number): unknown {
    const start = this.at;
    const word = WORDS.find(([text]) => text.charCodeAt(0) === byte && this.#startsWith(text));
    if (word !== undefined) {
      this.at += word[0].length;
      return word[1];
    }
    this.scalar(byte);
    const text = this.bytes.toString('latin1', start, this.at);
    const value: unknown = JSON.parse(text);
    return typeof value === 'number' && !Number.isSafeInteger(value) && LONG_INTEGER.test(text) ? BigInt(text) : value;
  }

  #startsWith(word: string): boolean {
    const after = this.at + word.length;
    return after <= this.end && this.bytes.toString('latin1', this.at, after) === word;
  }

  fail(): never {
    const { at, end } = this;
    if (at >= end) throw new JsonSyntaxError('it ends before its last value does');
    const found = Buffer.from(this.bytes.subarray(at, Math.min(end, at + 16))).toString('utf8');
    if (/^(?:NaN|-?Infinity)/.test(found)) {
      throw new JsonSyntaxError(
        `${found.replace(/[^A-Za-z-].*$/s, '')} at byte ${at} is not in JSON; write it as a string, "NaN", "Infinity" or "-Infinity"`,
      );
    }
    throw new JsonSyntaxError(`unexpected ${JSON.stringify(String.fromCodePoint(found.codePointAt(0) ?? 0))} at byte ${at}`);
  }

  #number(first: number): void {
    const { bytes, end } = this;
    let { at } = this;
    if (first === MINUS && !isDigit(bytes[at + 1])) this.fail();
    if (first === MINUS) at++;
    const zero = bytes[at] === ZERO;
    at++;
    if (zero && isDigit(bytes[at]) && at < end) return this.#failAt(at);
    while (at < end && isDigit(bytes[at])) at++;
    if (at < end && bytes[at] === 0x2e) at = this.#digits(at + 1);
    const letter = at < end ? bytes[at] : undefined;
    if (letter === 0x65 || letter === 0x45) {
      const sign = bytes[at + 1];
      at = this.#digits(sign === MINUS || sign === 0x2b ? at + 2 : at + 1);
    }
    this.at = at;
  }

  /** At least one digit from `at` on; gives where they end. */
  #digits(at: number): number {
    const { bytes, end } = this;
    if (at >= end || !isDigit(bytes[at])) this.#failAt(at);
    let after = at + 1;
    while (after < end && isDigit(bytes[after])) after++;
    return after;
  }

  #word(word: string): void {
    if (!this.#startsWith(word)) this.fail();
    this.at += word.length;
  }

  #failAt(at: number): never {
    this.at = at;
    return this.fail();
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** Four hexadecimal digits of an escape; NaN when they are none. */
export function hexAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 > end) return Number.NaN;
  let value = 0;
  for (let index = at; index < at + 4; index++) {
    const byte = bytes[index] ?? 0;
    const lower = byte | 0x20;
    const digit = isDigit(byte) ? byte - ZERO : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
    value = value * 16 + digit;
  }
  return value;
}

/** Byte a simple escape stands for, by the letter behind the backslash. */
export const SIMPLE_ESCAPES: ReadonlyMap<number, number> = new Map([
  [QUOTE, QUOTE],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);
