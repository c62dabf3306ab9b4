import { SkerryError } from '#shared/kernel/errors.js';
import { nextBytesElement } from './bytes-elements.js';
import { elementSize } from './datatype.js';
import { elementCount, formatShape } from './shape.js';
import { namedTensors, type NamedTensors, type Tensor } from './tensor.js';

// Batches along dimension 0: requests are stacked row by row, and every output must have one row for each input row.

/** Rows along dimension 0, when all inputs agree on them; `undefined` else, and then the request runs by itself. */
export function rowsOf(inputs: NamedTensors): number | undefined {
  let rows: number | undefined;
  for (const { shape } of Object.values(inputs)) {
    if (shape[0] === undefined || shape[0] < 1 || (rows !== undefined && shape[0] !== rows)) return undefined;
    rows = shape[0];
  }
  return rows;
}

/** Equal for requests whose inputs can be stacked: names, datatypes and shapes but for dimension 0. */
export function batchKey(inputs: NamedTensors): string {
  return Object.keys(inputs)
    .toSorted()
    .map((name) => `${JSON.stringify(name)}:${inputs[name]?.datatype}:${inputs[name]?.shape.slice(1).join('x')}`)
    .join(';');
}

/** Stacks requests along dimension 0, in order, into fresh buffers. All have the same `batchKey`. */
export function stack(requests: readonly NamedTensors[]): NamedTensors {
  const stacked: (readonly [string, Tensor])[] = [];
  for (const [name, first] of Object.entries(requests[0] ?? {})) {
    const parts = requests.flatMap((request) => request[name] ?? []);
    const data = new Uint8Array(parts.reduce((sum, part) => sum + part.data.byteLength, 0));
    let offset = 0;
    let rows = 0;
    for (const part of parts) {
      data.set(part.data, offset);
      offset += part.data.byteLength;
      rows += part.shape[0] ?? 0;
    }
    stacked.push([name, { datatype: first.datatype, shape: [rows, ...first.shape.slice(1)], data }]);
  }
  return namedTensors(stacked);
}

/** Why outputs do not have one row for each of `rows` input rows; `undefined` when all have. */
export function rowProblem(outputs: NamedTensors, rows: number): string | undefined {
  const odd = Object.entries(outputs).find(([, { shape }]) => shape[0] !== rows);
  if (odd === undefined) return undefined;
  const [name, { shape }] = odd;
  const has = shape[0] === undefined ? 'is a scalar' : `has ${shape[0]} rows (shape ${formatShape(shape)})`;
  return `output ${JSON.stringify(name)} ${has} for ${rows} input rows`;
}

/**
 * Cuts outputs along dimension 0 into one part per request. Parts are copies, so that one answer does not keep the whole
 * batch in memory. `INFERENCE_OUTPUT_INVALID` when an output does not have one row for each input row; then nothing is cut.
 */
export function unstack(outputs: NamedTensors, rows: readonly number[]): readonly NamedTensors[] {
  const parts: (readonly [string, Tensor])[][] = rows.map(() => []);
  const total = rows.reduce((sum, count) => sum + count, 0);
  const problem = rowProblem(outputs, total);
  if (problem !== undefined) throw new SkerryError('INFERENCE_OUTPUT_INVALID', `a batch cannot be divided: ${problem}`);
  for (const [name, tensor] of Object.entries(outputs)) {
    const bounds = rowBounds(tensor, total, name);
    let row = 0;
    for (const [index, count] of rows.entries()) {
      const data = tensor.data.slice(bounds(row), bounds(row + count));
      parts[index]?.push([name, { datatype: tensor.datatype, shape: [count, ...tensor.shape.slice(1)], data }]);
      row += count;
    }
  }
  return parts.map(namedTensors);
}

/** Byte offset at which a row begins. */
function rowBounds(tensor: Tensor, rows: number, name: string): (row: number) => number {
  const perRow = elementCount(tensor.shape.slice(1), name);
  const size = elementSize(tensor.datatype);
  if (size !== undefined) return (row) => row * perRow * size;
  const starts = [0];
  let end = 0;
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < perRow; at++) end = nextBytesElement(tensor.data, end)?.end ?? end;
    starts.push(end);
  }
  return (row) => starts[row] ?? 0;
}
