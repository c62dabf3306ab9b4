import { SkerryError } from '#shared/kernel/errors.js';
import { formatShape } from '#shared/tensor/shape.js';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { coalesced, NestedWriter } from './nested-write.js';

/** How the elements of an output are written. */
export interface ElementForms {
  /** Whether the strings of an output go as `{"b64": "..."}`. */
  readonly base64?: ((name: string) => boolean) | undefined;
  readonly notFinite?: 'null' | undefined;
}

/**
 * Outputs as a list with an entry for each row: the row of an only output, or an object of the rows of all outputs by name. Errors:
 * `SERVE_REQUEST` for outputs that have no rows, or not the same number of them.
 */
export function rowPieces(outputs: NamedTensors, forms: ElementForms): Generator<string, void> {
  const rows = rowCount(outputs);
  const writers = writersOf(outputs, forms);
  return coalesced(writeRows(rows, writers));
}

function rowCount(outputs: NamedTensors): number {
  const counts = Object.entries(outputs).map(([name, { shape }]) => {
    const [rows] = shape;
    if (rows === undefined)
      throw new SkerryError('SERVE_REQUEST', `output ${JSON.stringify(name)} is a single value and has no rows; send "inputs"`);
    return { name, rows, shape };
  });
  const [first] = counts;
  const other = counts.find(({ rows }) => rows !== first?.rows);
  if (other === undefined) return first?.rows ?? 0;
  const differ = `output ${JSON.stringify(other.name)} ${formatShape(other.shape)} has not the ${first?.rows} rows of the others`;
  throw new SkerryError('SERVE_REQUEST', `${differ}; send "inputs"`);
}

type NamedWriter = readonly [string, NestedWriter];

function writersOf(outputs: NamedTensors, { base64, notFinite }: ElementForms): readonly NamedWriter[] {
  return Object.entries(outputs).map(([name, tensor]) => [name, new NestedWriter(tensor, { base64: base64?.(name), notFinite })]);
}

function* writeRows(rows: number, writers: readonly NamedWriter[]): Generator<string, void> {
  yield '[';
  for (let row = 0; row < rows; row++) {
    if (row > 0) yield ',';
    yield* level(writers, 1);
  }
  yield ']';
}

/** Outputs as they are: an only one, or an object of several by name. */
export function columnPieces(outputs: NamedTensors, forms: ElementForms): Generator<string, void> {
  return coalesced(level(writersOf(outputs, forms), 0));
}

function* level(writers: readonly NamedWriter[], axis: number): Generator<string, void> {
  const [only] = writers;
  if (writers.length === 1 && only !== undefined) {
    yield* only[1].level(axis, 0);
    return;
  }
  for (const [index, [name, writer]] of writers.entries()) {
    yield `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`;
    yield* writer.level(axis, 0);
  }
  yield writers.length === 0 ? '{}' : '}';
}
