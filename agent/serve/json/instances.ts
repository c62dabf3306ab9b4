import { SkerryError } from '#shared/kernel/errors.js';
import { namedTensors, type NamedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import { isObject, type JsonObject } from './fields.js';
import { type NestedTarget, nestedTensor } from './nested-read.js';

/** Rows gone over between two places where the work may be interrupted. */
export const ROWS_AT_ONCE = 1_000;

/** What rows are read for, as a single tensor is. */
export type RowTarget = Omit<NestedTarget, 'spec'>;

/**
 * The inputs of a model from a list with an entry for each row: the row itself for an only input, or an object of the rows of all inputs
 * by name. `isValue` says which objects are the element of a tensor. It can be interrupted wherever it yields. Errors: `SERVE_REQUEST`,
 * `TENSOR_MISSING`, and those of tensors.
 */
export function* inputsOfInstances(
  value: unknown,
  inputs: readonly TensorSpec[],
  target: RowTarget,
  isValue: (value: JsonObject) => boolean = () => false,
): Generator<void, NamedTensors> {
  if (!Array.isArray(value)) throw new SkerryError('SERVE_REQUEST', 'Expected "instances" to be a list');
  if (value.length === 0) throw new SkerryError('SERVE_REQUEST', '"instances" has no entry');
  const isNamed = (row: unknown): row is JsonObject => isObject(row) && !isValue(row);
  if (isNamed(value[0])) return yield* inputsOfRows(yield* namedRows(value, isNamed), inputs, target);
  const [only] = inputs;
  if (inputs.length === 1 && only !== undefined) return namedTensors([[only.name, yield* nestedTensor(value, { ...target, spec: only })]]);
  throw new SkerryError(
    'SERVE_REQUEST',
    `the model has ${inputs.length} inputs: each entry of "instances" must be an object of them by name`,
  );
}

function* namedRows(rows: readonly unknown[], isNamed: (row: unknown) => row is JsonObject): Generator<void, readonly JsonObject[]> {
  const named: JsonObject[] = [];
  for (const [index, row] of rows.entries()) {
    if (index % ROWS_AT_ONCE === 0) yield;
    if (!isNamed(row)) throw new SkerryError('SERVE_REQUEST', `instances[${index}] is no object of inputs by name, as those before it are`);
    named.push(row);
  }
  return named;
}

/** The inputs of a model from rows that have all of them, and nothing else, by name. Errors: as `inputsOfInstances`. */
export function* inputsOfRows(
  rows: readonly JsonObject[],
  inputs: readonly TensorSpec[],
  target: RowTarget,
): Generator<void, NamedTensors> {
  for (const [index, row] of rows.entries()) {
    if (index % ROWS_AT_ONCE === 0) yield;
    checkNames(row, index, inputs);
  }
  const tensors: [string, Tensor][] = [];
  for (const spec of inputs) {
    tensors.push([spec.name, yield* nestedTensor(yield* columnOf(rows, spec.name), { ...target, spec })]);
  }
  return namedTensors(tensors);
}

function* columnOf(rows: readonly JsonObject[], name: string): Generator<void, readonly unknown[]> {
  const column: unknown[] = [];
  for (const [index, row] of rows.entries()) {
    if (index % ROWS_AT_ONCE === 0) yield;
    column.push(row[name]);
  }
  return column;
}

function checkNames(row: JsonObject, index: number, inputs: readonly TensorSpec[]): void {
  const missing = inputs.find(({ name }) => !Object.hasOwn(row, name));
  if (missing !== undefined) {
    throw new SkerryError('TENSOR_MISSING', `row ${index} lacks the input ${JSON.stringify(missing.name)}`);
  }
  if (Object.keys(row).length === inputs.length) return;
  const unknown = Object.keys(row).find((name) => inputs.every((spec) => spec.name !== name)) ?? '';
  throw new SkerryError('SERVE_REQUEST', `row ${index} has ${JSON.stringify(unknown.slice(0, 128))}, which is no input of the model`);
}
