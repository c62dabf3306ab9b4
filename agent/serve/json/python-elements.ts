import type { Datatype } from '#shared/tensor/datatype.js';

/** Makes of a JSON value what the readers of JSON elements take for a datatype; bytes are an element of BYTES as it is. */
export type ElementReading = (datatype: Datatype, value: unknown) => unknown;

/** A number in a text, such as a cell of a CSV file. */
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const WHOLE = /^[+-]?\d{1,20}$/;

const NOT_FINITE_WORDS: ReadonlyMap<string, string> = new Map([
  ['nan', 'NaN'],
  ['inf', 'Infinity'],
  ['+inf', 'Infinity'],
  ['-inf', '-Infinity'],
  ['infinity', 'Infinity'],
  ['+infinity', 'Infinity'],
  ['-infinity', '-Infinity'],
]);

const FLOATS: ReadonlySet<Datatype> = new Set(['FP16', 'BF16', 'FP32', 'FP64']);
const TRUTHS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['1', true],
  [1, true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
  ['0', false],
  [0, false],
]);

/**
 * What Python's array libraries make of a value for a datatype, in the form that the readers of JSON elements take: a text that holds a
 * number is that number, true is 1, and null is NaN for floating-point numbers. What they would have to alter stays as it is, and is
 * refused by the reader: 1.5 for a whole number, a number for a string.
 */
export function pythonElement(datatype: Datatype, value: unknown): unknown {
  if (datatype === 'BYTES') return value;
  if (datatype === 'BOOL') return TRUTHS.get(value) ?? value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return FLOATS.has(datatype) ? floatElement(value) : wholeElement(value);
}

function floatElement(value: unknown): unknown {
  if (value === null) return 'NaN';
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'string') return value;
  const text = value.trim();
  return NUMBER.test(text) ? Number(text) : (NOT_FINITE_WORDS.get(text.toLowerCase()) ?? value);
}

function wholeElement(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'string') return value;
  const text = value.trim();
  if (!WHOLE.test(text)) return value;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text.replace('+', '');
}
