import { SkerryError } from '#shared/kernel/errors.js';

/** A message in protobuf text format, before anybody knows its type: fields in the order of the text, as often as they are there. */
export type TextMessage = readonly TextField[];

export interface TextField {
  readonly name: string;
  readonly value: TextValue;
  /** Offset at which the value begins. */
  readonly at: number;
}

/** `word`: a bare word or a number as it is written, such as TYPE_FP32, true, -1 or 0x10. */
export type TextValue =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'message'; readonly fields: TextMessage };

const MOST_BYTES = 1024 * 1024;
const MOST_VALUES = 100_000;
const DEEPEST = 32;

/**
 * Reads protobuf text format (protobuf.dev, "Text Format Language Specification"). Errors are `STANDALONE_CONFIG` with line and column.
 * Extensions and Any values are refused: no model configuration has one.
 */
export function readTextFormat(text: string, what: string): TextMessage {
  if (text.length > MOST_BYTES) {
    throw new SkerryError('STANDALONE_CONFIG', `${what} has more than ${MOST_BYTES} characters`);
  }
  return new TextFormatReader(text, what).document();
}

/** What lies between tokens: spaces, line ends, comments. */
const BETWEEN = /(?:[ \t\n\v\f\r]+|#[^\n]*)*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const STRING = /"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"|'[^'\\\n]*(?:\\[^\n][^'\\\n]*)*'/y;
const NUMBER = /(?:0[xX][0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![A-Za-z0-9_.])/y;

class TextFormatReader {
  readonly #text: string;
  readonly #what: string;
  #at = 0;
  #values = 0;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  document(): TextMessage {
    const fields = this.#fields('', 0);
    if (this.#at < this.#text.length) this.#refuse('expected a field');
    return fields;
  }

  /** Fields up to `end` ('' is the end of the text), which is taken as well. */
  #fields(end: string, depth: number): TextMessage {
    if (depth > DEEPEST) this.#refuse(`messages are nested more than ${DEEPEST} deep`);
    const fields: TextField[] = [];
    for (;;) {
      this.#skip();
      if (end === '' ? this.#at === this.#text.length : this.#take(end)) return fields;
      this.#field(fields, depth);
      if (!this.#take(',')) this.#take(';');
    }
  }

  #field(fields: TextField[], depth: number): void {
    if (this.#peek() === '[') this.#refuse('extensions are not supported');
    const name =
      this.#match(NAME) ?? this.#refuse(this.#at === this.#text.length ? 'the text ends inside a message' : 'expected a field name');
    const colon = this.#take(':');
    if (!this.#take('[')) return this.#value(fields, name, depth, colon);
    if (this.#take(']')) return;
    do this.#value(fields, name, depth, colon);
    while (this.#take(','));
    if (!this.#take(']')) this.#refuse('expected "," or "]"');
  }

  #value(fields: TextField[], name: string, depth: number, colon: boolean): void {
    this.#skip();
    if (++this.#values > MOST_VALUES) this.#refuse(`there are more than ${MOST_VALUES} values`);
    const at = this.#at;
    const close = this.#take('{') ? '}' : this.#take('<') ? '>' : undefined;
    if (close !== undefined) {
      fields.push({ name, at, value: { kind: 'message', fields: this.#fields(close, depth + 1) } });
      return;
    }
    if (!colon) this.#refuse(`expected ":" or "{" after ${name}`);
    const text = this.#string();
    if (text === undefined) fields.push({ name, at, value: { kind: 'word', text: this.#word() } });
    else fields.push({ name, at, value: { kind: 'string', text } });
  }

  #word(): string {
    const sign = this.#take('-') ? '-' : '';
    this.#skip();
    const word = this.#match(NUMBER) ?? this.#match(NAME) ?? this.#refuse('expected a value');
    return sign + word;
  }

  /** Strings that stand side by side are one. */
  #string(): string | undefined {
    const parts: string[] = [];
    for (;;) {
      this.#skip();
      const quoted = this.#match(STRING);
      if (quoted === undefined) break;
      parts.push(quoted.slice(1, -1));
    }
    if (parts.length > 0) return this.#unescape(parts.join(''));
    if (/["']/.test(this.#peek())) this.#refuse('the string has no end on its line');
    return undefined;
  }

  #unescape(raw: string): string {
    if (!raw.includes('\\')) return raw;
    const bytes: Buffer[] = [];
    let rest = 0;
    for (const match of raw.matchAll(ESCAPE)) {
      bytes.push(Buffer.from(raw.slice(rest, match.index)), bytesOf(match) ?? this.#refuse(`unknown escape ${match[0].slice(0, 12)}`));
      rest = match.index + match[0].length;
    }
    bytes.push(Buffer.from(raw.slice(rest)));
    return Buffer.concat(bytes).toString();
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #take(token: string): boolean {
    this.#skip();
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #skip(): void {
    this.#match(BETWEEN);
  }

  #refuse(reason: string): never {
    throw new SkerryError('STANDALONE_CONFIG', `${this.#what}, ${placeIn(this.#text, this.#at)}: ${reason}`);
  }
}

/** A place of a text, as people count: from 1. */
export function placeIn(text: string, at: number): string {
  const before = text.slice(0, at);
  return `line ${before.split('\n').length}, column ${at - before.lastIndexOf('\n')}`;
}

const ESCAPE = /\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/gs;
const SIMPLE: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '?': '?',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

function bytesOf([, octal, hex, short, long, simple]: RegExpMatchArray): Buffer | undefined {
  if (octal !== undefined) return Number.parseInt(octal, 8) > 255 ? undefined : Buffer.from([Number.parseInt(octal, 8)]);
  if (hex !== undefined) return Buffer.from([Number.parseInt(hex, 16)]);
  const point = short ?? long;
  if (point !== undefined)
    return Number.parseInt(point, 16) > 0x10ffff ? undefined : Buffer.from(String.fromCodePoint(Number.parseInt(point, 16)));
  const plain = SIMPLE[simple ?? ''];
  return plain === undefined ? undefined : Buffer.from(plain);
}
