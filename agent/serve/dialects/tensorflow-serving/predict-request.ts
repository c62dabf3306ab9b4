import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import { isObject, type JsonObject } from '../../json/fields.js';
import { inputsOfInstances, inputsOfRows, ROWS_AT_ONCE } from '../../json/instances.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { readPythonJson } from '../../json/python-json.js';
import { inputsBySignature } from '../../json/signature.js';
import { isBase64, exactElement } from '../../json/exact-elements.js';
import { checkSignature } from './signature-name.js';

interface RequestTarget {
  readonly inputs: readonly TensorSpec[];
  readonly jsonElements: number;
}

/** Rows of one entry each, or whole tensors; the answer has the form of the request. */
export type RequestForm = 'row' | 'column';

interface PredictCall {
  readonly inputs: NamedTensors;
  readonly form: RequestForm;
}

/** Reads the body of a Predict call. It can be interrupted wherever it yields. Errors: `SERVE_BODY`, `SERVE_REQUEST`, those of tensors. */
export function* readPredict(bytes: Uint8Array, { inputs, jsonElements }: RequestTarget): Generator<void, PredictCall> {
  const { instances, inputs: columns } = yield* readCall(bytes, jsonElements);
  const target = { json: new JsonAllowance(jsonElements), element: exactElement };
  if (instances !== undefined && columns !== undefined) {
    throw new SkerryError('SERVE_REQUEST', "the request has both 'inputs' and 'instances', only one of them is expected");
  }
  if (instances !== undefined) return { inputs: yield* inputsOfInstances(instances, inputs, target, isBase64), form: 'row' };
  if (columns === undefined) throw new SkerryError('SERVE_REQUEST', "Missing 'inputs' or 'instances' key");
  return { inputs: yield* inputsBySignature(columns, inputs, target.json, exactElement), form: 'column' };
}

/** What every call has. */
function* readCall(bytes: Uint8Array, jsonElements: number): Generator<void, JsonObject> {
  const document = yield* readPythonJson(bytes, 'the body', jsonElements);
  if (!isObject(document)) throw new SkerryError('SERVE_BODY', 'the body must be a JSON object');
  const { signature_name: signature } = document;
  if (signature !== undefined && typeof signature !== 'string') {
    throw new SkerryError('SERVE_REQUEST', "'signature_name' key must be a string value");
  }
  checkSignature(signature ?? '');
  return document;
}

/**
 * Reads the body of a Classify or Regress call: examples with the values of each input by its name, those of `context` where an example
 * has none. It can be interrupted wherever it yields. Errors: as `readPredict`.
 */
export function* readExamples(bytes: Uint8Array, { inputs, jsonElements }: RequestTarget): Generator<void, NamedTensors> {
  const { context = {}, examples } = yield* readCall(bytes, jsonElements);
  if (!isObject(context)) throw new SkerryError('SERVE_REQUEST', "'context' must be an object");
  if (!Array.isArray(examples)) throw new SkerryError('SERVE_REQUEST', "'examples' must be a list of objects");
  if (examples.length === 0) throw new SkerryError('SERVE_REQUEST', "'examples' value is an empty array");
  const rows: JsonObject[] = [];
  for (const [index, example] of examples.entries()) {
    if (index % ROWS_AT_ONCE === 0) yield;
    if (!isObject(example)) throw new SkerryError('SERVE_REQUEST', `Example must be JSON object, but examples[${index}] is none`);
    rows.push(exampleRow({ ...context, ...example }, inputs));
  }
  return yield* inputsOfRows(rows, inputs, { json: new JsonAllowance(jsonElements), element: exactElement });
}

/**
 * An example's features are lists, also of one value, where an input may have a single value in each row, or a list of one. Features that are
 * no inputs are passed over, as models of TensorFlow do.
 */
function exampleRow(example: JsonObject, inputs: readonly TensorSpec[]): JsonObject {
  const row = inputs.flatMap(({ name, shape, anyShape }): [string, unknown][] => {
    if (!Object.hasOwn(example, name)) return [];
    const value = example[name];
    return [[name, anyShape === true ? value : feature(value, shape.length > 1)]];
  });
  return Object.fromEntries(row);
}

function feature(value: unknown, asList: boolean): unknown {
  if (asList) return Array.isArray(value) ? value : [value];
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}
