import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { configOfJson, configOfText, type ConfigDocument } from '#agent/standalone/config/document.js';
import { type FieldRow, type FieldType, MODEL_CONFIG, type MessageType } from '#agent/standalone/config/fields.js';
import { readTextFormat } from '#agent/standalone/config/text-format.js';
import { hasCode } from '#shared/kernel/errors.js';

/** Any configuration that Triton's .proto allows, by its own table of fields. */
function messageOf(type: MessageType, depth: number): fc.Arbitrary<ConfigDocument> {
  const taken = new Set<string>();
  const rows = Object.entries(type.fields).filter(([, { oneOf }]) => {
    if (oneOf === undefined) return true;
    if (taken.has(oneOf)) return false;
    taken.add(oneOf);
    return true;
  });
  const members = Object.fromEntries(rows.map(([name, row]) => [name, fieldOf(row, depth)]));
  return fc.record(members, { requiredKeys: [] });
}

function fieldOf({ type, many }: FieldRow, depth: number): fc.Arbitrary<unknown> {
  const value = valueOf(type, depth);
  if (many === 'list') return fc.array(value, { minLength: 1, maxLength: 3 });
  return many === 'map'
    ? fc.dictionary(
        fc.string({ maxLength: 4 }).filter((key) => key !== '__proto__'),
        value,
        { minKeys: 1, maxKeys: 2 },
      )
    : value;
}

function valueOf(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  if (type === 'string') return fc.string({ unit: 'binary', maxLength: 8 });
  if (type === 'bool') return fc.boolean();
  if (type === 'int') return fc.integer();
  if (type === 'float') return fc.float({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number));
  if (!('fields' in type)) return fc.constantFrom(...type);
  return depth === 0 ? fc.constant({}) : messageOf(type, depth - 1);
}

/** Writes text format in one of its many ways. */
function write(document: ConfigDocument, type: MessageType, style: number): string {
  const colon = style % 2 === 0 ? '' : ':';
  const [open, close] = style % 3 === 0 ? ['<', '>'] : ['{', '}'];
  const one = (value: unknown, of: FieldType): string => {
    if (typeof of === 'object' && 'fields' in of) return `${open} ${write(Object(value), of, style)} ${close}`;
    if (of === 'string') return quoted(String(value), style);
    return String(value);
  };
  const line = (name: string, value: unknown, of: FieldType): string => {
    const isMessage = typeof of === 'object' && 'fields' in of;
    return `${name}${isMessage ? colon : ' :'} ${one(value, of)}`;
  };
  return Object.entries(document)
    .flatMap(([name, value]) => {
      const row = type.fields[name];
      if (row === undefined) return [];
      if (row.many === 'map') {
        return Object.entries(Object(value)).map(
          ([key, entry]) => `${name} { key: ${quoted(key, style)} ${line('value', entry, row.type)} }`,
        );
      }
      if (!Array.isArray(value)) return [line(name, value, row.type)];
      if (style % 5 === 0) return value.map((entry) => line(name, entry, row.type));
      return [`${name}: [${value.map((entry) => one(entry, row.type)).join(', ')}]`];
    })
    .join([' ', '\n', ',', '; ', '# a comment }\n'][style % 5]);
}

function quoted(text: string, style: number): string {
  const bytes = [...Buffer.from(text)];
  if (style % 2 === 0) return `"${bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}"`;
  const half = Math.floor(text.length / 2);
  const plain = (part: string): string => `'${part.replaceAll(/[\\'\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`))}'`;
  return `${plain(text.slice(0, half))} ${plain(text.slice(half))}`;
}

describe('a model configuration', () => {
  test('says the same in text and in JSON, however it is written', () => {
    fc.assert(
      fc.property(messageOf(MODEL_CONFIG, 3), fc.integer({ min: 0, max: 29 }), (document, style) => {
        expect(configOfText(write(document, MODEL_CONFIG, style), 'text')).toEqual(document);
        expect(configOfJson(JSON.stringify(document), 'json')).toEqual(document);
      }),
      { numRuns: 300 },
    );
  });

  test('is refused with a typed error for any other text', () => {
    const token = fc.constantFrom(
      'name',
      ':',
      '"a"',
      "'",
      '"',
      '{',
      '}',
      '<',
      '>',
      '[',
      ']',
      ',',
      ';',
      '-',
      '1',
      '0x',
      '#',
      '\n',
      '\\',
      'input',
      'dims',
      '8e',
    );
    const texts = fc.oneof(
      fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join(' ')),
      fc.string({ unit: 'binary', maxLength: 60 }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          configOfText(text, 'text');
        } catch (cause) {
          // Anything else is a fault of the reader.
          if (!hasCode(cause, 'STANDALONE_CONFIG')) throw cause;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('of any depth and length ends', () => {
    const config = (text: string): unknown => expect(() => readTextFormat(text, 'text')).toThrow(/^text, line|^text has more/);
    config('a { '.repeat(100_000));
    config('a < '.repeat(33));
    config(`a: [${'1,'.repeat(200_000)}1]`);
    config('x'.repeat(1024 * 1024 + 1));
    config(`a: "${'\\'.repeat(500_001)}`);
    config(`${' # \n'.repeat(200_000)} }`);
    config(`a: ${'"a" '.repeat(200_000)} {`);
  });

  test.each([
    ['name: "a" name: "b"', 'line 1, column 17: name is given twice'],
    ['dynamic_batching { }\nsequence_batching { }', 'line 2, column 19: sequence_batching cannot be given together with dynamic_batching'],
    ['input { dims: 1.5 }', 'input.dims is not a whole number'],
    ['input { name: x }', 'input.name is not a quoted string'],
    ['\n\nnosuch: 1', 'line 3, column 9: there is no field nosuch'],
    ['max_batch_size: 99999999999999999999', 'max_batch_size is not a whole number'],
    ['[ext.name]: 1', 'extensions are not supported'],
    ['name "a"', 'expected ":" or "{" after name'],
    ['input {', 'the text ends inside a message'],
  ])('%j: %s', (text, reason) => {
    expect(() => configOfText(text, 'c')).toThrow(reason);
  });

  test('counts as C does', () => {
    expect(configOfText('max_batch_size: 0x10 input { dims: [ 010, - 1 ] }', 'c')).toEqual({
      max_batch_size: 16,
      input: [{ dims: [8, -1] }],
    });
  });
});
