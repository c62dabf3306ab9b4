import { namedTensors, type NamedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import type { JsonAllowance } from '../json/json-allowance.js';
import { nestedCells, shapeOf, tensorOfCells } from '../json/nested-read.js';
import { missingInputs } from '../json/signature.js';

/** A table as data frame libraries have it. */
export interface Frame {
  /** Names of its columns in order; undefined where they have none. */
  readonly columns: readonly string[] | undefined;
  readonly width: number;
  readonly rows: number;
  /** A value, or nested arrays of them; null where there is none. */
  readonly cell: (row: number, column: number) => unknown;
  /** Texts that stand for no value where a number is expected. */
  readonly missing?: ReadonlySet<string>;
}

/**
 * The inputs of a model from a frame. Columns are matched by name, and those that no input is called like mean nothing. A model with one
 * input that is called like no column takes all of them in order: [rows, columns], or the rows of an only column. It can be interrupted
 * wherever it yields. Errors: `TENSOR_MISSING`, and those of tensors.
 */
export function* inputsOfFrame(frame: Frame, inputs: readonly TensorSpec[], json: JsonAllowance): Generator<void, NamedTensors> {
  const columns = new Map((frame.columns ?? []).map((name, index) => [name, index]));
  const [only] = inputs;
  if (inputs.length === 1 && only !== undefined && !columns.has(only.name) && frame.width > 0) {
    const whole = frame.width === 1 ? columnOf(frame, 0, only, json) : tableOf(frame, only, json);
    return namedTensors([[only.name, yield* whole]]);
  }
  const tensors: [string, Tensor][] = [];
  for (const spec of inputs) {
    const column = columns.get(spec.name);
    if (column === undefined) throw missingInputs(inputs, [...columns.keys()]);
    tensors.push([spec.name, yield* columnOf(frame, column, spec, json)]);
  }
  return namedTensors(tensors);
}

function columnOf(frame: Frame, column: number, spec: TensorSpec, json: JsonAllowance): Generator<void, Tensor> {
  const what = `column ${JSON.stringify(frame.columns?.[column] ?? column)}`;
  const value = cellReader(frame, spec);
  const shape = frame.rows === 0 ? [] : shapeOf(value(0, column), what);
  const cells = function* (): Generator<unknown, void> {
    for (let row = 0; row < frame.rows; row++) yield* nestedCells(value(row, column), shape, what);
  };
  return tensorOfCells([frame.rows, ...shape], cells(), { spec, json });
}

function tableOf(frame: Frame, spec: TensorSpec, json: JsonAllowance): Generator<void, Tensor> {
  const value = cellReader(frame, spec);
  const cells = function* (): Generator<unknown, void> {
    for (let row = 0; row < frame.rows; row++) for (let column = 0; column < frame.width; column++) yield value(row, column);
  };
  return tensorOfCells([frame.rows, frame.width], cells(), { spec, json });
}

function cellReader({ cell, missing }: Frame, { datatype }: TensorSpec): Frame['cell'] {
  if (missing === undefined || datatype === 'BYTES') return cell;
  return (row, column) => {
    const value = cell(row, column);
    return typeof value === 'string' && missing.has(value) ? null : value;
  };
}
