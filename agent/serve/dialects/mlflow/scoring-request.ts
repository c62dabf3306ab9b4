import { SkerryError } from '#shared/kernel/errors.js';
import type { NamedTensors, TensorSpec } from '#shared/tensor/tensor.js';
import { readCsv } from '../../frames/csv.js';
import { type Frame, inputsOfFrame } from '../../frames/frame.js';
import { isObject, type JsonObject } from '../../json/fields.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { readPythonJson } from '../../json/python-json.js';
import { inputsBySignature } from '../../json/signature.js';
import type { ScoringType } from './content-type.js';
import { columnsFrame, recordsFrame, splitFrame } from './json-frames.js';

interface ScoringTarget {
  readonly inputs: readonly TensorSpec[];
  readonly jsonElements: number;
}

/** Reads the body of a scoring request. It can be interrupted wherever it yields. Errors: `SERVE_BODY`, `SERVE_REQUEST`, those of tensors. */
export function* readScoring(type: ScoringType, bytes: Uint8Array, { inputs, jsonElements }: ScoringTarget): Generator<void, NamedTensors> {
  const json = new JsonAllowance(jsonElements);
  if (type === 'text/csv') return yield* inputsOfFrame(yield* readCsv(bytes, jsonElements), inputs, json);
  const { field, value } = onlyField(yield* readPythonJson(bytes, 'the body', jsonElements));
  return yield* READERS[field](value, inputs, json);
}

type FieldReader = (value: unknown, inputs: readonly TensorSpec[], json: JsonAllowance) => Generator<void, NamedTensors>;

/** The forms of a request: exactly one of these members is given. */
const READERS = {
  inputs: readInputs,
  instances: readInstances,
  dataframe_split: ofFrame(splitFrame),
  dataframe_records: ofFrame(recordsFrame),
} satisfies Readonly<Record<string, FieldReader>>;

type Field = keyof typeof READERS;
const FIELDS: readonly Field[] = ['inputs', 'instances', 'dataframe_split', 'dataframe_records'];

function onlyField(document: unknown): { readonly field: Field; readonly value: unknown } {
  const members = isObject(document) ? document : {};
  const given = FIELDS.filter((field) => Object.hasOwn(members, field));
  const [field] = given;
  if (given.length !== 1 || field === undefined) {
    const found = isObject(document) ? `has ${given.length === 0 ? 'none' : given.join(' and ')} of them` : 'is no object';
    throw new SkerryError('SERVE_BODY', `The body must be a JSON object with exactly one of ${FIELDS.join(', ')}; it ${found}.`);
  }
  checkParams(members);
  return { field, value: members[field] };
}

/** As for every model without a schema of parameters, those that are given mean nothing. */
function checkParams({ params }: JsonObject): void {
  if (params === undefined || params === null || isObject(params)) return;
  throw new SkerryError('SERVE_REQUEST', 'params must be an object');
}

/** Tensors, by the name of the input where there are several; or columns, or rows of them. */
function readInputs(value: unknown, inputs: readonly TensorSpec[], json: JsonAllowance): Generator<void, NamedTensors> {
  if (Array.isArray(value) && isObject(value[0])) return ofFrame(recordsFrame)(value, inputs, json);
  const [only] = inputs;
  const isFrame = isObject(value) && inputs.length === 1 && only !== undefined && !Object.hasOwn(value, only.name);
  return isFrame ? ofFrame(columnsFrame)(value, inputs, json) : inputsBySignature(value, inputs, json);
}

/** Rows: of the only input, or each an object of all inputs. */
function readInstances(value: unknown, inputs: readonly TensorSpec[], json: JsonAllowance): Generator<void, NamedTensors> {
  if (!Array.isArray(value)) throw new SkerryError('SERVE_REQUEST', 'instances must be a list');
  return isObject(value[0]) ? ofFrame(recordsFrame)(value, inputs, json) : inputsBySignature(value, inputs, json);
}

function ofFrame(read: (value: unknown) => Generator<void, Frame>): FieldReader {
  return function* reader(value, inputs, json) {
    return yield* inputsOfFrame(yield* read(value), inputs, json);
  };
}
