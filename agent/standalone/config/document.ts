import { SkerryError } from '#shared/kernel/errors.js';
import { parseUnknown } from '#shared/kernel/json.js';
import { type FieldRow, type FieldType, MODEL_CONFIG, type MessageType } from './fields.js';
import { placeIn, readTextFormat, type TextField, type TextMessage, type TextValue } from './text-format.js';

/** A message in the JSON form of protobuf with the names of the .proto: only what was given, or (`filled`) every plain field. */
export type ConfigDocument = Readonly<Record<string, unknown>>;

const MOST_BYTES = 1024 * 1024;
const MOST_MEMBERS = 100_000;

/** Reads a config.pbtxt. Errors: `STANDALONE_CONFIG`. */
export function configOfText(text: string, what: string): ConfigDocument {
  return new TextConverter(text, what).message(readTextFormat(text, what), MODEL_CONFIG, '');
}

/** Reads a configuration in JSON, as clients send it with a request to load. Errors: `STANDALONE_CONFIG`. */
export function configOfJson(text: string, what: string): ConfigDocument {
  const document = parseUnknown(Buffer.from(text), { what, maxBytes: MOST_BYTES, code: 'STANDALONE_CONFIG' });
  return new JsonConverter(what).message(document, MODEL_CONFIG, '');
}

/** The document with every field that is no message at its default, as protobuf prints it: lists and maps are there, empty. */
export function filled(document: ConfigDocument, type: MessageType = MODEL_CONFIG): ConfigDocument {
  const result: Record<string, unknown> = {};
  for (const [name, row] of Object.entries(type.fields)) {
    const value = document[name] ?? defaultOf(row);
    if (value !== undefined) result[name] = filledField(value, row);
  }
  return result;
}

function filledField(value: unknown, { type, many }: FieldRow): unknown {
  if (!isMessageType(type)) return value;
  const fill = (one: unknown): unknown => (isDocument(one) ? filled(one, type) : one);
  if (many === 'list') return Array.isArray(value) ? value.map(fill) : value;
  if (many === 'map') return isDocument(value) ? mapped(Object.entries(value), fill) : value;
  return fill(value);
}

function defaultOf({ type, many, oneOf }: FieldRow): unknown {
  if (many === 'list') return [];
  if (many === 'map') return {};
  if (oneOf !== undefined || isMessageType(type)) return undefined;
  if (type === 'string') return '';
  if (type === 'bool') return false;
  return type === 'int' || type === 'float' ? 0 : type[0];
}

export function isDocument(value: unknown): value is ConfigDocument {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMessageType(type: FieldType): type is MessageType {
  return typeof type === 'object' && 'fields' in type;
}

function mapped(entries: readonly (readonly [string, unknown])[], change: (value: unknown) => unknown): ConfigDocument {
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)]));
}

const isDecimal = (text: string): boolean => /^-?\d+(\.\d*)?([eE][+-]?\d+)?$|^-?\.\d+([eE][+-]?\d+)?$/.test(text);

/** A scalar of this type; undefined when the text is none. */
function scalarOf(type: Exclude<FieldType, MessageType>, text: string, quoted: boolean): unknown {
  if (type === 'string') return quoted ? text : undefined;
  if (quoted) return undefined;
  if (type === 'bool')
    return ({ true: true, t: true, True: true, '1': true, false: false, f: false, False: false, '0': false } as const)[text];
  if (type === 'int') {
    const number = /^-?(0[xX][0-9A-Fa-f]+|\d+)$/.test(text) ? wholeNumber(text) : Number.NaN;
    return Number.isSafeInteger(number) ? number : undefined;
  }
  if (type === 'float') return isDecimal(text.replace(/[fF]$/, '')) ? Number.parseFloat(text) : undefined;
  return type.includes(text) ? text : undefined;
}

/** Protobuf's text format counts as C does: 0x10 and 010 are not decimal. */
function wholeNumber(text: string): number {
  const negative = text.startsWith('-');
  const digits = negative ? text.slice(1) : text;
  const number = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return negative && number !== 0 ? -number : number;
}

function wanted(type: FieldType): string {
  if (typeof type === 'string') return { string: 'a quoted string', bool: 'true or false', int: 'a whole number', float: 'a number' }[type];
  return isMessageType(type) ? 'a message in { }' : `one of ${type.slice(0, 24).join(', ')}`;
}

class TextConverter {
  readonly #text: string;
  readonly #what: string;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  message(fields: TextMessage, type: MessageType, path: string): ConfigDocument {
    const lists = new Map<string, unknown[]>();
    const maps = new Map<string, Map<string, unknown>>();
    const singles = new Map<string, unknown>();
    const chosen = new Map<string, string>();
    for (const field of fields) {
      const name = path === '' ? field.name : `${path}.${field.name}`;
      const row = Object.hasOwn(type.fields, field.name) ? type.fields[field.name] : undefined;
      if (row === undefined) this.#refuse(field, `there is no field ${name}`);
      else if (row.many === 'list') {
        const list = lists.get(field.name) ?? [];
        list.push(this.#value(field, row.type, name));
        lists.set(field.name, list);
      } else if (row.many === 'map') this.#entry(maps, field, row.type, name);
      else this.#single(singles, chosen, { field, row, name });
    }
    return Object.fromEntries([...singles, ...lists, ...[...maps].map(([name, entries]) => [name, Object.fromEntries(entries)] as const)]);
  }

  #single(
    singles: Map<string, unknown>,
    chosen: Map<string, string>,
    { field, row, name }: { readonly field: TextField; readonly row: FieldRow; readonly name: string },
  ): void {
    if (singles.has(field.name)) this.#refuse(field, `${name} is given twice`);
    const other = row.oneOf === undefined ? undefined : chosen.get(row.oneOf);
    if (other !== undefined) this.#refuse(field, `${name} cannot be given together with ${other}`);
    if (row.oneOf !== undefined) chosen.set(row.oneOf, field.name);
    singles.set(field.name, this.#value(field, row.type, name));
  }

  #entry(maps: Map<string, Map<string, unknown>>, field: TextField, type: FieldType, name: string): void {
    const fields =
      field.value.kind === 'message' ? field.value.fields : this.#refuse(field, `${name} is a list of { key: ... value: ... }`);
    let key = '';
    let value: unknown = defaultOf({ type }) ?? {};
    for (const part of fields) {
      if (part.name === 'key') key = keyOf(part.value) ?? this.#refuse(part, `the key of ${name} is no text`);
      else if (part.name === 'value') value = this.#value(part, type, name);
      else this.#refuse(part, `${name} has key and value, and no ${part.name}`);
    }
    maps.set(field.name, (maps.get(field.name) ?? new Map<string, unknown>()).set(key, value));
  }

  #value(field: TextField, type: FieldType, name: string): unknown {
    const { value } = field;
    if (isMessageType(type)) {
      return value.kind === 'message' ? this.message(value.fields, type, name) : this.#refuse(field, `${name} is not ${wanted(type)}`);
    }
    const found = value.kind === 'message' ? undefined : scalarOf(type, value.text, value.kind === 'string');
    return found ?? this.#refuse(field, `${name} is not ${wanted(type)}`);
  }

  #refuse(field: TextField, reason: string): never {
    throw new SkerryError('STANDALONE_CONFIG', `${this.#what}, ${placeIn(this.#text, field.at)}: ${reason}`);
  }
}

function keyOf(value: TextValue): string | undefined {
  return value.kind === 'message' ? undefined : value.text;
}

class JsonConverter {
  readonly #what: string;
  #members = 0;

  constructor(what: string) {
    this.#what = what;
  }

  message(value: unknown, type: MessageType, path: string): ConfigDocument {
    if (!isDocument(value)) this.#refuse(`${path === '' ? 'the configuration' : path} is not a JSON object`);
    const chosen = new Map<string, string>();
    const given = Object.entries(value).filter(([, member]) => member !== null);
    return Object.fromEntries(
      given.map(([key, member]) => {
        const field = snakeCase(key);
        const name = path === '' ? field : `${path}.${field}`;
        const row = Object.hasOwn(type.fields, field) ? type.fields[field] : undefined;
        if (row === undefined) this.#refuse(`there is no field ${name.slice(0, 200)}`);
        const other = row.oneOf === undefined ? undefined : chosen.get(row.oneOf);
        if (other !== undefined) this.#refuse(`${name} cannot be given together with ${other}`);
        if (row.oneOf !== undefined) chosen.set(row.oneOf, field);
        return [field, this.#field(member, row, name)];
      }),
    );
  }

  #field(value: unknown, { type, many }: FieldRow, name: string): unknown {
    if (many === 'list') {
      return Array.isArray(value) ? value.map((one) => this.#value(one, type, name)) : this.#refuse(`${name} is not a list`);
    }
    if (many === 'map') {
      return isDocument(value)
        ? mapped(Object.entries(value), (one) => this.#value(one, type, name))
        : this.#refuse(`${name} is not a JSON object`);
    }
    return this.#value(value, type, name);
  }

  #value(value: unknown, type: FieldType, name: string): unknown {
    if (++this.#members > MOST_MEMBERS) this.#refuse(`there are more than ${MOST_MEMBERS} values`);
    if (isMessageType(type)) return this.message(value, type, name);
    // 64-bit numbers are strings in protobuf's JSON.
    const text = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string' ? String(value) : '';
    const found = type === 'string' ? (typeof value === 'string' ? value : undefined) : scalarOf(type, text, false);
    return found ?? this.#refuse(`${name} is not ${wanted(type)}`);
  }

  #refuse(reason: string): never {
    throw new SkerryError('STANDALONE_CONFIG', `${this.#what}: ${reason}`);
  }
}

/** Protobuf's JSON takes both names of a field. */
function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
