/** A number as it was written, so that no digit of it is lost. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value of JSON as other servers write it: with bare NaN and Infinity, and with members that come twice (the last one counts). */
export type Json = null | boolean | string | NumberText | readonly Json[] | { readonly [name: string]: Json };

const TOKEN = /\s*(?:([{}[\]:,])|("(?:[^"\\]|\\.)*")|(-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/suy;

/** Reads a text of JSON; undefined where it is none. */
export function parseLenient(text: string): Json | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    tokens.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? '');
  }
  const reader = new Reader(tokens);
  const value = reader.value();
  return reader.atEnd ? value : undefined;
}

class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get atEnd(): boolean {
    return this.#at === this.#tokens.length;
  }

  value(): Json | undefined {
    const token = this.#tokens[this.#at++];
    if (token === undefined) return undefined;
    if (token === '{') return this.#object();
    if (token === '[') return this.#array();
    if (token.startsWith('"')) return String(JSON.parse(token));
    if (token === 'true' || token === 'false') return token === 'true';
    return token === 'null' ? null : new NumberText(token);
  }

  #object(): Json | undefined {
    const members: Record<string, Json> = {};
    while (this.#tokens[this.#at] !== '}') {
      const name = this.value();
      if (typeof name !== 'string' || this.#tokens[this.#at++] !== ':') return undefined;
      const value = this.value();
      if (value === undefined) return undefined;
      members[name] = value;
      if (this.#tokens[this.#at] === ',') this.#at++;
      else if (this.#tokens[this.#at] !== '}') return undefined;
    }
    this.#at++;
    return members;
  }

  #array(): Json | undefined {
    const entries: Json[] = [];
    while (this.#tokens[this.#at] !== ']') {
      const value = this.value();
      if (value === undefined) return undefined;
      entries.push(value);
      if (this.#tokens[this.#at] === ',') this.#at++;
      else if (this.#tokens[this.#at] !== ']') return undefined;
    }
    this.#at++;
    return entries;
  }
}
