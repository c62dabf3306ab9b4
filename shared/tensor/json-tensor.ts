import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Datatype } from './datatype.js';
import { bytesOf } from './elements.js';
import { type JsonText, STRIDE } from './json-document.js';
import { type JsonReader, jsonReader } from './json-elements.js';
import {
  BACKSLASH,
  CLOSE_ARRAY,
  COMMA,
  END,
  hexAt,
  JsonScanner,
  JsonSyntaxError,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  SIMPLE_ESCAPES,
} from './json-scanner.js';
import type { NotFinite } from './not-finite.js';
import { elementCount, formatShape } from './shape.js';
import type { Tensor } from './tensor.js';

/**
 * Reads the `data` of a JSON tensor from its text, piece by piece into the tensor's bytes, so that the JavaScript values of all
 * elements never exist at once. It reads as `fromJson` does, with the same errors, and besides takes 64-bit integers beyond 2^53
 * written as numbers, since no digit is lost here, and NaN, Infinity, Inf and their negatives written without quotes. It can be
 * interrupted wherever it yields.
 */
export function* fromJsonText(datatype: Datatype, shape: readonly number[], text: JsonText, what: string): Generator<void, Tensor> {
  const reader = jsonReader(datatype, what);
  const walk = new ShapeWalk(shape, elementCount(shape, what), what);
  try {
    const data = reader.kind === 'text' ? yield* readTexts(reader, walk, text) : yield* readNumbers(reader, walk, text);
    return { datatype, shape, data };
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof JsonSyntaxError)) throw cause;
    throw new SkerryError('TENSOR_DATA', `${what}: its data is not JSON: ${cause.message}`, { cause });
  }
}

type NumberReader = Exclude<JsonReader, { readonly kind: 'text' }>;
type TextReader = Extract<JsonReader, { readonly kind: 'text' }>;

/** Where in the shape the elements are: a flat array of all of them, or arrays nested as the shape says. */
class ShapeWalk {
  readonly #shape: readonly number[];
  readonly count: number;
  readonly #what: string;
  /** Entries seen of each array that is open, the outermost first. */
  readonly #seen: number[] = [];
  #nested: boolean | undefined;
  #elements = 0;

  constructor(shape: readonly number[], count: number, what: string) {
    this.#shape = shape;
    this.count = count;
    this.#what = what;
  }

  /** A bracket opens: false when it stands where an element should. */
  opens(): boolean {
    const depth = this.#seen.length;
    if (depth === 1) this.#nested ??= true;
    if (depth > 0 && (this.#nested !== true || depth >= this.#shape.length)) return false;
    if (depth > 0) this.#enter(depth - 1);
    this.#seen.push(0);
    return true;
  }

  close(): void {
    const depth = this.#seen.length - 1;
    const size = this.#seen.pop();
    if (this.#nested === true && size !== this.#shape[depth]) throw this.#unfit(depth, `an array of ${size}`);
  }

  /** The next element; gives its place. */
  element(): number {
    const depth = this.#seen.length;
    this.#nested ??= false;
    if (this.#nested) {
      if (depth < this.#shape.length) throw this.#unfit(depth, 'no array');
      this.#enter(depth - 1);
    } else if (this.#elements >= this.count) throw this.#miscounted('more');
    return this.#elements++;
  }

  end(): void {
    if (this.#elements !== this.count) throw this.#miscounted(String(this.#elements));
  }

  #enter(depth: number): void {
    const seen = (this.#seen[depth] ?? 0) + 1;
    this.#seen[depth] = seen;
    if (seen > (this.#shape[depth] ?? 0)) throw this.#unfit(depth, 'an array of more');
  }

  #unfit(depth: number, found: string): SkerryError {
    const shape = formatShape(this.#shape);
    const size = this.#shape[depth] ?? 'elements';
    return new SkerryError('TENSOR_DATA', `${this.#what}: shape ${shape} asks for arrays of ${size} at depth ${depth}, found ${found}`);
  }

  #miscounted(found: string): SkerryError {
    const shape = formatShape(this.#shape);
    return new SkerryError('TENSOR_DATA', `${this.#what}: shape ${shape} takes ${this.count} elements, the data has ${found}`);
  }
}

/** Numbers, and strings that stand for one: `JSON.parse` reads one piece of the text after the other. */
function* readNumbers(reader: NumberReader, walk: ShapeWalk, text: JsonText): Generator<void, Uint8Array> {
  const put = putInto(reader, walk.count);
  for (const { value: whole, before, after } of pieces(text, reader.kind === 'bigint')) {
    // The arrays that are open before the piece, or stay open after it, belong to its neighbours.
    const visit = (value: unknown, depth: number, first: boolean, last: boolean): void => {
      const opened = first && depth < before;
      if (!Array.isArray(value) || !(opened || walk.opens())) return put.element(value, walk.element());
      const end = value.length - 1;
      for (let index = 0; index <= end; index++) {
        const entry: unknown = value[index];
        if (typeof entry === 'number') put.element(entry, walk.element());
        else visit(entry, depth + 1, first && index === 0, last && index === end);
      }
      if (!(last && depth < after)) walk.close();
    };
    visit(whole, 0, true, true);
    yield;
  }
  walk.end();
  return put.bytes;
}

/** Where the elements of a tensor are put, each read by the rules of its datatype. */
function putInto(reader: NumberReader, count: number): { readonly bytes: Uint8Array; element(value: unknown, at: number): void } {
  if (reader.kind === 'bigint') {
    const elements = reader.allocate(count);
    return {
      bytes: bytesOf(elements),
      element(value, at) {
        elements[at] = reader.read(value, at);
      },
    };
  }
  const elements = reader.allocate(count);
  return {
    bytes: bytesOf(elements),
    element(value, at) {
      elements[at] = reader.read(value, at);
    },
  };
}

interface Piece {
  readonly value: unknown;
  /** Arrays that are open where the piece begins, and where it ends. */
  readonly before: number;
  readonly after: number;
}

/** Whole numbers that a double may not have exactly. */
const LONG_INTEGER = /(?<=[[,\s])-?\d{16,}(?=[\],\s])/g;

/**
 * The text in pieces that are JSON again once the brackets that are open at either end are added. `exact` keeps the digits of long
 * whole numbers, as strings.
 */
function* pieces({ bytes, start, end, cuts }: JsonText, exact: boolean): Generator<Piece, void> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let from = start;
  let before = 0;
  for (const { at, depth: after } of [...cuts, { at: end, depth: 0 }]) {
    if (at - from > 2 * LIMITS.jsonStringBytes)
      throw new JsonSyntaxError(`it has more than ${2 * LIMITS.jsonStringBytes} bytes between two commas`);
    const inside = buffer.toString('utf8', from, at);
    const text = before + after === 0 ? inside : `${'['.repeat(before)}${inside}${']'.repeat(after)}`;
    yield { value: parsePiece(exact ? text.replace(LONG_INTEGER, '"$&"') : text), before, after };
    before = after;
    from = at + 1;
  }
}

/** Strings, and what stands for a number that is not finite where a client writes it as a bare word: Python's and Triton's do. */
const STRING_OR_WORD = /"(?:[^"\\]|\\.)*"|(?<![\w.+-])-?(?:NaN|Infinity|Inf)(?![\w.])/g;

function parsePiece(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    // A piece is about as long as a stride, unless it holds what is no number anyway.
    if (text.length > 4 * STRIDE) throw cause;
    const quoted = text.replace(STRING_OR_WORD, (found) => (found.startsWith('"') ? found : `"${wordOf(found)}"`));
    if (quoted === text) throw cause;
    return JSON.parse(quoted);
  }
}

function wordOf(found: string): NotFinite {
  if (found.endsWith('NaN')) return 'NaN';
  return found.startsWith('-') ? '-Infinity' : 'Infinity';
}

const LENGTH_BYTES = 4;

/** Strings, copied as the UTF-8 they are, each behind its length (`joinBytesElements`). */
function* readTexts(reader: TextReader, walk: ShapeWalk, text: JsonText): Generator<void, Uint8Array> {
  const scanner = new JsonScanner(text.bytes, text.start, text.end);
  const out = new TextBuffer(LENGTH_BYTES * walk.count + text.end - text.start);
  let mark = scanner.at + STRIDE;
  /** A value came last, so a comma or bracket must follow; else a value, or the end of an empty array. */
  let full = false;
  let opened = false;
  for (let byte = scanner.next(); byte !== END; byte = scanner.next()) {
    if (scanner.at >= mark) {
      mark = scanner.at + STRIDE;
      yield;
    }
    if (full ? byte !== COMMA && byte !== CLOSE_ARRAY : byte === COMMA || (byte === CLOSE_ARRAY && !opened)) scanner.fail();
    const closes = byte === CLOSE_ARRAY;
    const opens = byte === OPEN_ARRAY && walk.opens();
    if (closes) walk.close();
    if (closes || opens || byte === COMMA) scanner.at++;
    else if (byte === QUOTE) {
      walk.element();
      yield* out.take(scanner);
    } else reader.read(byte === OPEN_ARRAY ? [] : byte === OPEN_OBJECT ? {} : scanner.scalarValue(byte), walk.element());
    opened = opens;
    full = !opens && byte !== COMMA;
  }
  walk.end();
  return out.bytes();
}

class TextBuffer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #length = 0;

  /** `capacity`: no string takes more bytes than its JSON text. Memory that is not written to is not taken from the system. */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Copies the string that begins where the scanner is. */
  *take(scanner: JsonScanner): Generator<void, void> {
    const { bytes } = scanner;
    const out = this.#bytes;
    const start = this.#length + LENGTH_BYTES;
    let length = start;
    let at = scanner.at + 1;
    let mark = at + STRIDE;
    for (let byte = bytes[at] ?? QUOTE; byte !== QUOTE; byte = bytes[at] ?? QUOTE) {
      if (byte === BACKSLASH) {
        const { code, end } = escapeAt(bytes, at);
        length = writeUtf8(out, length, code);
        at = end;
      } else {
        out[length++] = byte;
        at++;
      }
      if (at < mark) continue;
      mark = at + STRIDE;
      yield;
    }
    scanner.at = at + 1;
    this.#view.setUint32(this.#length, length - start, true);
    this.#length = length;
  }
}

/** The character an escape stands for, and where the escape ends; it was checked before. */
function escapeAt(bytes: Uint8Array, at: number): { readonly code: number; readonly end: number } {
  const simple = SIMPLE_ESCAPES.get(bytes[at + 1] ?? 0);
  if (simple !== undefined) return { code: simple, end: at + 2 };
  const first = hexAt(bytes, at + 2, bytes.byteLength);
  if (first < 0xd800 || first > 0xdfff) return { code: first, end: at + 6 };
  const second = hexAt(bytes, at + 8, bytes.byteLength);
  return { code: 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), end: at + 12 };
}

/** Writes one character as UTF-8; gives where the next one goes. */
function writeUtf8(out: Uint8Array, at: number, code: number): number {
  const continuation = (shift: number): number => 0x80 | ((code >> shift) & 0x3f);
  if (code < 0x80) {
    out[at] = code;
    return at + 1;
  }
  if (code < 0x800) out[at] = 0xc0 | (code >> 6);
  else if (code < 0x10000) out.set([0xe0 | (code >> 12), continuation(6)], at);
  else out.set([0xf0 | (code >> 18), continuation(12), continuation(6)], at);
  const end = at + (code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
  out[end - 1] = continuation(0);
  return end;
}
