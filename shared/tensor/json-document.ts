import { isUtf8 } from 'node:buffer';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  END,
  hexAt,
  JsonScanner,
  JsonSyntaxError,
  MINUS,
  NINE,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  SIMPLE_ESCAPES,
} from './json-scanner.js';

/** A comma between elements, and how many arrays are open there. */
interface Cut {
  readonly at: number;
  readonly depth: number;
}

/** An array of a JSON document that was left as text, to be read once its datatype and shape are known. Its strings are checked. */
export class JsonText {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where the text can be cut into pieces of about STRIDE bytes. */
  readonly cuts: readonly Cut[];

  constructor(bytes: Uint8Array, start: number, end: number, cuts: readonly Cut[]) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.cuts = cuts;
  }
}

/** The inside of a long string of a JSON document without escapes, left as bytes. */
export class JsonBytes {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

interface DocumentOptions {
  /** What is being read, for the message: "the body". */
  readonly what: string;
  readonly code: ErrorCode;
  /** Members whose arrays hold the elements of a tensor: they become `JsonText`. */
  readonly tensorMembers: ReadonlySet<string>;
  /** Members whose strings may be of any length; those without escapes become `JsonBytes`. */
  readonly longStrings?: (member: string) => boolean;
  /** Numbers are as Python's `json` module writes them: NaN, Infinity and -Infinity too, and a whole number beyond 2^53 becomes a bigint. */
  readonly python?: boolean;
  /** Most values outside of tensors, LIMITS.jsonValues when left out, and the code of the error when there are more. */
  readonly values?: { readonly limit: number; readonly code: ErrorCode };
}

/** Bytes gone over between two places where the work may be interrupted: some ten microseconds. */
export const STRIDE = 16 * 1024;

const UTF8_PIECE = 4 * 1024 * 1024;

/**
 * Reads a JSON document as `JSON.parse` does, but for its large arrays, which stay text. It can be interrupted wherever it yields.
 * Refused with `code`: what is not JSON, not UTF-8 (RFC 8259, 8.1), or holds half of a surrogate pair, which no UTF-8 text can
 * carry; nesting deeper than LIMITS.jsonDepth, strings longer than LIMITS.jsonStringBytes and more than LIMITS.jsonValues values
 * outside of tensors. A byte order mark at the start is skipped.
 */
export function* readDocument(bytes: Uint8Array, options: DocumentOptions): Generator<void, unknown> {
  yield* checkUtf8(bytes, options);
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  try {
    return yield* new DocumentReader(bytes, marked ? 3 : 0, options).document();
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw new SkerryError(options.code, `${options.what} is not JSON that can be read: ${cause.message}`, { cause });
  }
}

/** Refuses bytes that are not UTF-8 with `code`. */
export function* checkUtf8(bytes: Uint8Array, { what, code }: Pick<DocumentOptions, 'what' | 'code'>): Generator<void, void> {
  for (let start = 0; start < bytes.byteLength; ) {
    // Cut where a character begins.
    let end = Math.min(bytes.byteLength, start + UTF8_PIECE);
    for (let back = 0; back < 3 && end < bytes.byteLength && ((bytes[end] ?? 0) & 0xc0) === 0x80; back++) end--;
    if (!isUtf8(bytes.subarray(start, end))) throw new SkerryError(code, `${what} is not UTF-8, the encoding of JSON`);
    start = end;
    if (start < bytes.byteLength) yield;
  }
}

/** Bytes of numbers that are worth reading at once. */
const NUMBERS_AT_ONCE = 64;

/** Bytes of numbers and of white space between them. */
const IN_NUMBERS = new Uint8Array(256);
for (const byte of Buffer.from('0123456789+-.eE \n\r\t')) IN_NUMBERS[byte] = 1;

/** Whole numbers that a double may not have exactly. */
const LONG_INTEGER = /(?:^|[,\s])-?\d{16,}(?:$|[,\s])/;

/** What comes between the brackets of a list; undefined where it is not JSON. */
function parsedList(text: string): readonly unknown[] | undefined {
  try {
    const list: unknown = JSON.parse(`[${text}]`);
    return Array.isArray(list) ? list : undefined;
  } catch {
    return undefined;
  }
}

class DocumentReader {
  readonly #scanner: JsonScanner;
  readonly #options: DocumentOptions;
  #values = 0;
  /** Before this place every number is read by itself: many at once cannot be, up to there. */
  #singlyUntil = 0;
  /** Where the work is interrupted next. */
  #mark: number;

  constructor(bytes: Uint8Array, start: number, options: DocumentOptions) {
    this.#scanner = new JsonScanner(bytes, start);
    this.#options = options;
    this.#mark = start + STRIDE;
  }

  *document(): Generator<void, unknown> {
    const value = yield* this.#value(1, false);
    if (this.#scanner.next() !== END) this.#scanner.fail();
    return value;
  }

  *#value(depth: number, isTensor: boolean): Generator<void, unknown> {
    const scanner = this.#scanner;
    if (this.#due()) yield;
    this.#count(1);
    const byte = scanner.next();
    if (byte === OPEN_OBJECT) return yield* this.#object(depth);
    if (byte === OPEN_ARRAY) return isTensor ? yield* this.#tensor(depth) : yield* this.#array(depth);
    if (byte === QUOTE) return this.#text(yield* this.#string());
    return this.#options.python === true ? scanner.pythonScalarValue(byte) : scanner.scalarValue(byte);
  }

  #count(values: number): void {
    this.#values += values;
    const { limit, code } = this.#options.values ?? { limit: LIMITS.jsonValues, code: this.#options.code };
    if (this.#values <= limit) return;
    throw new SkerryError(code, `${this.#options.what} has more than ${limit} values outside of tensors`);
  }

  *#object(depth: number): Generator<void, Readonly<Record<string, unknown>>> {
    const scanner = this.#scanner;
    this.#enter(depth);
    const object: Record<string, unknown> = {};
    if (this.#closes(CLOSE_OBJECT)) return object;
    do {
      if (scanner.next() !== QUOTE) scanner.fail();
      const name = this.#text(yield* this.#string());
      if (scanner.next() !== COLON) scanner.fail();
      scanner.at++;
      const isLong = this.#options.longStrings?.(name) === true && scanner.next() === QUOTE;
      const value = isLong ? yield* this.#longString() : yield* this.#value(depth + 1, this.#options.tensorMembers.has(name));
      if (name === '__proto__') Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
      else object[name] = value;
    } while (this.#continues(CLOSE_OBJECT));
    return object;
  }

  *#array(depth: number): Generator<void, readonly unknown[]> {
    this.#enter(depth);
    const array: unknown[] = [];
    if (this.#closes(CLOSE_ARRAY)) return array;
    do {
      if (this.#options.python === true) this.#numbers(array);
      array.push(yield* this.#value(depth + 1, false));
    } while (this.#continues(CLOSE_ARRAY));
    return array;
  }

  /** Reads the numbers that come next in an array, up to a comma, in one go: that is ten times as fast as one by one. */
  #numbers(array: unknown[]): void {
    const scanner = this.#scanner;
    const { bytes, at: start } = scanner;
    if (start < this.#singlyUntil) return;
    const stop = Math.min(scanner.end, start + STRIDE);
    let comma = start;
    for (let at = start; at < stop; at++) {
      const byte = bytes[at] ?? END;
      if (byte === COMMA) comma = at;
      else if (IN_NUMBERS[byte] !== 1) break;
    }
    if (comma - start < NUMBERS_AT_ONCE) return;
    const text = bytes.toString('latin1', start, comma);
    const numbers = LONG_INTEGER.test(text) ? undefined : parsedList(text);
    if (numbers === undefined) {
      this.#singlyUntil = comma;
      return;
    }
    this.#count(numbers.length);
    for (const number of numbers) array.push(number);
    scanner.at = comma + 1;
  }

  /** Goes over an array without building it: its brackets, strings and commas; numbers by the million are looked at when they are read. */
  *#tensor(depth: number): Generator<void, JsonText> {
    const scanner = this.#scanner;
    const { bytes, end, at: start } = scanner;
    const cuts: Cut[] = [];
    let open = 0;
    let from = start;
    let at = start;
    let mark = at + STRIDE;
    do {
      // White space and brackets by the million have neither commas nor strings between them.
      if (at >= mark) {
        mark = at + STRIDE;
        yield;
      }
      at = this.#skim(at, from + STRIDE);
      const byte = bytes[at];
      if (byte === COMMA) {
        cuts.push({ at, depth: open });
        from = ++at;
        yield;
      } else if (byte === QUOTE || byte === OPEN_OBJECT) {
        scanner.at = at;
        if (byte === QUOTE) yield* this.#string();
        else yield* this.#object(depth + open);
        at = scanner.at;
      } else {
        if (byte === OPEN_ARRAY && depth + open++ > LIMITS.jsonDepth) throw tooDeep();
        if (byte === CLOSE_ARRAY) open--;
        at++;
      }
    } while (open > 0 && at < end);
    scanner.at = at;
    if (open > 0) scanner.fail();
    return new JsonText(bytes, start, at, cuts);
  }

  /** Goes over numbers and the commas between them, up to a comma at `cutFrom` or behind it. */
  #skim(start: number, cutFrom: number): number {
    const { bytes, end } = this.#scanner;
    let at = start;
    while (at < end) {
      const byte = bytes[at] ?? END;
      if ((byte < MINUS || byte > NINE) && (byte !== COMMA || at >= cutFrom)) break;
      at++;
    }
    if (at - start > LIMITS.jsonStringBytes) throw new JsonSyntaxError(`it has a number of more than ${LIMITS.jsonStringBytes} digits`);
    return at;
  }

  /** Goes over a string and checks it; gives where its inside starts, and whether there are escapes in it. */
  *#string(): Generator<void, { readonly start: number; readonly escaped: boolean }> {
    const scanner = this.#scanner;
    const { bytes, end } = scanner;
    const start = scanner.at + 1;
    let escaped = false;
    let at = start;
    for (;;) {
      const stop = Math.min(end, at + STRIDE);
      let byte = END;
      while (at < stop) {
        byte = bytes[at] ?? END;
        if (byte === QUOTE || byte === BACKSLASH || byte < 0x20) break;
        at++;
      }
      scanner.at = at;
      if (at >= end || byte < 0x20) scanner.fail();
      if (byte === QUOTE && at < stop) {
        scanner.at++;
        return { start, escaped };
      }
      if (byte === BACKSLASH && at < stop) {
        at = this.#escape(at);
        escaped = true;
      }
      scanner.at = at;
      if (this.#due()) yield;
    }
  }

  /** Goes over an escape; gives where it ends. */
  #escape(at: number): number {
    const scanner = this.#scanner;
    const { bytes, end } = scanner;
    if (SIMPLE_ESCAPES.has(at + 1 < end ? (bytes[at + 1] ?? END) : END)) return at + 2;
    const first = bytes[at + 1] === 0x75 ? hexAt(bytes, at + 2, end) : Number.NaN;
    if (Number.isNaN(first)) scanner.fail();
    if (first < 0xd800 || first > 0xdfff) return at + 6;
    const second = bytes[at + 6] === BACKSLASH && bytes[at + 7] === 0x75 ? hexAt(bytes, at + 8, end) : Number.NaN;
    if (first < 0xdc00 && second >= 0xdc00 && second <= 0xdfff) return at + 12;
    throw new JsonSyntaxError(`the escape \\u${first.toString(16)} at byte ${at} is half of a surrogate pair, and no character`);
  }

  *#longString(): Generator<void, JsonBytes | string> {
    const string = yield* this.#string();
    if (string.escaped) return this.#text(string);
    return new JsonBytes(this.#scanner.bytes.subarray(string.start, this.#scanner.at - 1));
  }

  #text({ start, escaped }: { readonly start: number; readonly escaped: boolean }): string {
    const { bytes, at } = this.#scanner;
    const length = at - 1 - start;
    if (length > LIMITS.jsonStringBytes) {
      throw new JsonSyntaxError(`it has a string of ${length} bytes outside of tensors, at most ${LIMITS.jsonStringBytes} are accepted`);
    }
    const text = bytes.toString('utf8', start, at - 1);
    return escaped ? String(JSON.parse(`"${text}"`)) : text;
  }

  #enter(depth: number): void {
    if (depth > LIMITS.jsonDepth) throw tooDeep();
    this.#scanner.at++;
  }

  /** Whether an array or object that was just opened is empty; it is closed then. */
  #closes(close: number): boolean {
    if (this.#scanner.next() !== close) return false;
    this.#scanner.at++;
    return true;
  }

  /** Behind a value: true after a comma, false after the end of the array or object. */
  #continues(close: number): boolean {
    const byte = this.#scanner.next();
    if (byte !== COMMA && byte !== close) this.#scanner.fail();
    this.#scanner.at++;
    return byte === COMMA;
  }

  #due(): boolean {
    if (this.#scanner.at < this.#mark) return false;
    this.#mark = this.#scanner.at + STRIDE;
    return true;
  }
}

function tooDeep(): JsonSyntaxError {
  return new JsonSyntaxError(`it is nested deeper than the accepted ${LIMITS.jsonDepth} levels`);
}
