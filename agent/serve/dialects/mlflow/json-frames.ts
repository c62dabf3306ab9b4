import { SkerryError } from '#shared/kernel/errors.js';
import type { Frame } from '../../frames/frame.js';
import { isObject, type JsonObject } from '../../json/fields.js';

/** Rows looked at between two places where the work may be interrupted. */
const ROWS_AT_ONCE = 1_000;

/** `dataframe_split`: `data` has the rows, `columns` the names, and `index` means nothing. */
export function* splitFrame(value: unknown): Generator<void, Frame> {
  const members = isObject(value) ? value : {};
  const { columns, data } = members;
  const others = Object.keys(members).filter((name) => !['columns', 'index', 'data'].includes(name));
  if (!Array.isArray(data) || others.length > 0) {
    const found = others.length > 0 ? `it has ${JSON.stringify(others[0]?.slice(0, 64))}` : 'data is missing or no list';
    throw new SkerryError('SERVE_BODY', `dataframe_split must be an object with data, columns and index, where data is a list; ${found}`);
  }
  const names = columnNames(columns);
  const width = names?.length ?? lengthOf(data[0]);
  for (const [row, cells] of data.entries()) {
    if (row % ROWS_AT_ONCE === 0) yield;
    if (Array.isArray(cells) && cells.length === width) continue;
    const found = Array.isArray(cells) ? `${cells.length} values` : 'no list';
    throw new SkerryError('SERVE_BODY', `dataframe_split has ${width} columns, but ${found} in row ${row} of data`);
  }
  return { columns: names, width, rows: data.length, cell: (row, column) => entryOf(data[row], column) };
}

function columnNames(columns: unknown): readonly string[] | undefined {
  if (columns === undefined || columns === null) return undefined;
  if (Array.isArray(columns)) return columns.map(String);
  throw new SkerryError('SERVE_BODY', 'dataframe_split.columns must be a list of names');
}

/** `dataframe_records`: a list of rows, each an object by column. A column that a row lacks has no value there. */
export function* recordsFrame(value: unknown): Generator<void, Frame> {
  if (!Array.isArray(value)) throw new SkerryError('SERVE_BODY', 'the rows must be a list of objects');
  const names = new Set<string>();
  const rows: JsonObject[] = [];
  for (const [row, record] of value.entries()) {
    if (row % ROWS_AT_ONCE === 0) yield;
    if (!isObject(record)) throw new SkerryError('SERVE_BODY', `row ${row} is no object, as the rows before it are`);
    for (const name of Object.keys(record)) names.add(name);
    rows.push(record);
  }
  const columns = [...names];
  return { columns, width: columns.length, rows: rows.length, cell: (row, column) => memberOf(rows[row], columns[column]) };
}

/** An object of columns, each a list of values, or a value where there is one row. */
export function* columnsFrame(value: unknown): Generator<void, Frame> {
  const entries = Object.entries(isObject(value) ? value : {});
  yield;
  const lists = entries.map(([, column]): readonly unknown[] => (Array.isArray(column) ? column : [column]));
  const rows = lists[0]?.length ?? 0;
  const uneven = lists.findIndex((list) => list.length !== rows);
  if (uneven >= 0) {
    const name = JSON.stringify(entries[uneven]?.[0].slice(0, 64));
    throw new SkerryError('SERVE_REQUEST', `column ${name} has ${lists[uneven]?.length} values, the first column has ${rows}`);
  }
  return { columns: entries.map(([name]) => name), width: lists.length, rows, cell: (row, column) => lists[column]?.[row] ?? null };
}

function entryOf(row: unknown, column: number): unknown {
  return Array.isArray(row) ? (row[column] ?? null) : null;
}

function memberOf(record: JsonObject | undefined, name: string | undefined): unknown {
  if (record === undefined || name === undefined || !Object.hasOwn(record, name)) return null;
  return record[name];
}

function lengthOf(row: unknown): number {
  return Array.isArray(row) ? row.length : 0;
}
