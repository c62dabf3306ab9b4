import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCsv } from '#agent/serve/frames/csv.js';
import { type Frame, inputsOfFrame } from '#agent/serve/frames/frame.js';
import { JsonAllowance } from '#agent/serve/json/json-allowance.js';
import { atOnce } from '#shared/kernel/turns.js';
import { outcome } from '../kit/coded.js';

const CELLS = 10_000;
const read = (text: string | Uint8Array): Frame => atOnce(readCsv(Buffer.from(text), CELLS));
const rowsOf = ({ rows, width, cell }: Frame): unknown[][] =>
  Array.from({ length: rows }, (_, row) => Array.from({ length: width }, (__, column) => cell(row, column)));

const quoted = (value: string): string => `"${value.replaceAll('"', '""')}"`;
const value = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom(',', '"', '\n', '\r', 'a') }));
/** A value as a writer may put it: bare where that says the same. */
const written = (text: string, quote: boolean): string => (quote || text === '' || /[",\r\n\ufeff]/.test(text) ? quoted(text) : text);

describe('comma-separated values', () => {
  test('what was written is read back', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 5 })
          .chain((width) => fc.array(fc.array(value, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 })),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.boolean(),
        (table, line, quote, ends) => {
          const text = table.map((row) => row.map((cell) => written(cell, quote)).join(',')).join(line) + (ends ? line : '');
          const frame = read(text);
          expect([frame.columns, ...rowsOf(frame)]).toEqual(table);
        },
      ),
    );
  });

  test('any bytes are a table, or refused as what they are', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string({ unit: fc.constantFrom(',', '"', '\n', '\r', 'a', '1', ' ') }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        const result = outcome(() => read(input));
        expect('code' in result ? result.code : 'SERVE_BODY').toBe('SERVE_BODY');
      }),
    );
  });

  test('lines without a character are passed over a piece at a time', () => {
    const empty = '\n'.repeat(320_000);
    const reading = readCsv(Buffer.from(`${empty}a${empty}1${empty}2`), CELLS);
    let [steps, step] = [0, reading.next()];
    for (; step.done !== true; steps++) step = reading.next();
    expect(rowsOf(step.value)).toEqual([['1'], ['2']]);
    expect(steps).toBeGreaterThan(3 * 15);
  });

  test('a row may lack its last values; a cell of a wide table is counted', () => {
    expect(rowsOf(read('a,b\n1\n'))).toEqual([['1', null]]);
    const wide = `a,b\n${'1,2\n'.repeat(6_000)}`;
    expect(outcome(() => read(wide))).toEqual({ code: 'SERVE_JSON_TOO_LARGE' });
    expect(outcome(() => read(','.repeat(70_000)))).toEqual({ code: 'SERVE_BODY' });
    expect(outcome(() => read(`"${'""'.repeat(600_000)}"`))).toEqual({ code: 'SERVE_BODY' });
    expect(outcome(() => read('a'.repeat(1_100_000)))).toEqual({ code: 'SERVE_BODY' });
  });
});

test('a frame of columns in any order gives every input its own', () => {
  const names = ['a', 'b', 'c', 'd'];
  fc.assert(
    fc.property(
      fc.shuffledSubarray(names, { minLength: 4 }),
      fc.array(fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer()), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 4 }),
      (columns, rows, wanted) => {
        const frame: Frame = { columns, width: 4, rows: rows.length, cell: (row, column) => rows[row]?.[column] ?? null };
        const inputs = names.slice(0, wanted).map((name) => ({ name, datatype: 'INT32' as const, shape: [-1, 1] }));
        const tensors = atOnce(inputsOfFrame(frame, inputs, new JsonAllowance(CELLS)));
        for (const { name } of inputs) {
          const tensor = tensors[name];
          const column = columns.indexOf(name);
          expect(tensor?.shape).toEqual([rows.length, 1]);
          expect([...new Int32Array(tensor?.data.slice().buffer ?? new ArrayBuffer())]).toEqual(rows.map((row) => row[column]));
        }
      },
    ),
  );
});
