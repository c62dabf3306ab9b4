import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { checkUtf8 } from '#shared/tensor/json-document.js';
import type { Frame } from './frame.js';

const QUOTE = 0x22;
const COMMA = 0x2c;
const LF = 0x0a;
const CR = 0x0d;

/** Bytes read between two places where the work may be interrupted. */
const STRIDE = 16 * 1024;

/** Most columns: a line is read in one go. */
const COLUMNS = 64 * 1024;

/** Texts that data frame libraries read as no value. */
const MISSING: ReadonlySet<string> = new Set(['', 'NA', 'N/A', 'n/a', '#N/A', '#NA', 'NULL', 'null', 'None', '<NA>', 'NaN', 'nan']);

/**
 * Reads a table of comma-separated values (RFC 4180), whose first line names the columns where they are `named`. Lines without a character
 * are skipped, and a line with fewer values than the first has none in the last columns. It can be interrupted wherever it yields. Errors: `SERVE_BODY`, and
 * `SERVE_JSON_TOO_LARGE` for more than `cells` values.
 */
export function* readCsv(bytes: Uint8Array, cells: number, { named } = { named: true }): Generator<void, Frame> {
  yield* checkUtf8(bytes, { what: 'the body', code: 'SERVE_BODY' });
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const lines = new CsvLines(bytes, marked ? 3 : 0);
  yield* lines.skipEmpty();
  const first = lines.next();
  if (first === undefined) throw new SkerryError('SERVE_BODY', 'the body is empty, expected lines of CSV');
  yield* lines.skipEmpty();
  const width = first.length;
  const rows: (readonly string[])[] = named ? [] : [first];
  let found = width;
  let mark = STRIDE;
  for (let row = lines.next(); row !== undefined; row = lines.next()) {
    if (row.length > width) {
      throw new SkerryError('SERVE_BODY', `line ${lines.line} has ${row.length} values, the first line has ${width}`);
    }
    found += width;
    if (found > cells) throw new SkerryError('SERVE_JSON_TOO_LARGE', `the table has more than the accepted ${cells} values`);
    rows.push(row);
    if (lines.isEmpty) yield* lines.skipEmpty();
    if (lines.at < mark) continue;
    mark = lines.at + STRIDE;
    yield;
  }
  const columns = named ? first : undefined;
  return { columns, width, rows: rows.length, cell: (row, column) => rows[row]?.[column] ?? null, missing: MISSING };
}

/** Lines of CSV, one after the other. */
class CsvLines {
  readonly #bytes: Buffer;
  at: number;
  /** Number of the line read last, from 1. */
  line = 0;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
  }

  /** No character stands on the line that comes next. */
  get isEmpty(): boolean {
    return this.at < this.#bytes.byteLength && this.#lineEnds();
  }

  /** Passes over lines without a character, of which a body can have as many as bytes. It can be interrupted where it yields. */
  *skipEmpty(): Generator<void, void> {
    for (let mark = this.at + STRIDE; this.isEmpty; ) {
      this.line++;
      this.#skipLineEnd();
      if (this.at < mark) continue;
      mark = this.at + STRIDE;
      yield;
    }
  }

  /** Values of the next line, which has a character; undefined behind the last. */
  next(): readonly string[] | undefined {
    if (this.at >= this.#bytes.byteLength) return undefined;
    this.line++;
    return this.#values();
  }

  #values(): readonly string[] {
    const values: string[] = [];
    for (;;) {
      values.push(this.#bytes[this.at] === QUOTE ? this.#quoted() : this.#plain());
      if (values.length > COLUMNS) throw this.#refused(`has more than ${COLUMNS} values`);
      if (this.#bytes[this.at] === COMMA) {
        this.at++;
        continue;
      }
      if (!this.#lineEnds()) throw this.#refused('has characters behind a closing quote');
      this.#skipLineEnd();
      return values;
    }
  }

  #plain(): string {
    const bytes = this.#bytes;
    const start = this.at;
    const end = Math.min(bytes.byteLength, start + LIMITS.jsonStringBytes + 1);
    let at = start;
    while (at < end && bytes[at] !== COMMA && bytes[at] !== LF && bytes[at] !== CR) at++;
    this.at = at;
    return this.#text(start, at);
  }

  #quoted(): string {
    const bytes = this.#bytes;
    const start = this.at + 1;
    let at = start;
    let doubled = false;
    for (;;) {
      at = bytes.indexOf(QUOTE, at);
      if (at < 0) throw this.#refused('begins a quoted value that does not end');
      if (bytes[at + 1] !== QUOTE || at - start > LIMITS.jsonStringBytes) break;
      doubled = true;
      at += 2;
    }
    this.at = at + 1;
    const text = this.#text(start, at);
    return doubled ? text.replaceAll('""', '"') : text;
  }

  #text(start: number, end: number): string {
    if (end - start > LIMITS.jsonStringBytes) throw this.#refused(`has a value of more than ${LIMITS.jsonStringBytes} bytes`);
    return this.#bytes.toString('utf8', start, end);
  }

  #lineEnds(): boolean {
    const byte = this.#bytes[this.at];
    return byte === undefined || byte === LF || byte === CR;
  }

  #skipLineEnd(): void {
    if (this.#bytes[this.at] === CR) this.at++;
    if (this.#bytes[this.at] === LF) this.at++;
  }

  #refused(why: string): SkerryError {
    return new SkerryError('SERVE_BODY', `line ${this.line} of the CSV ${why}`);
  }
}
