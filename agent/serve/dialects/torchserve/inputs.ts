import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { joinBytesElements } from '#shared/tensor/bytes-elements.js';
import { readBinary } from '#shared/tensor/binary.js';
import { elementSize } from '#shared/tensor/datatype.js';
import { namedTensors, type NamedTensors, type Tensor, type TensorSpec } from '#shared/tensor/tensor.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { fittedShape, nestedTensor } from '../../json/nested-read.js';
import { readPythonJson } from '../../json/python-json.js';
import { inputsBySignature } from '../../json/signature.js';
import { readFields } from './fields.js';

interface InputsTarget {
  readonly inputs: readonly TensorSpec[];
  readonly jsonElements: number;
}

/**
 * The inputs of a model from the body of a prediction: the field `data` of a form, else its field `body`, else a field for each input; or
 * the body itself. It can be interrupted wherever it yields. Errors: `SERVE_BODY`, `SERVE_REQUEST`, those of tensors.
 */
export function* readInputs(contentType: string | undefined, bytes: Uint8Array, target: InputsTarget): Generator<void, NamedTensors> {
  const request = yield* readFields(contentType, bytes);
  const reader = new ValueReader(target);
  if (request.kind === 'body') return yield* reader.inputs(request.bytes, request.isJson);
  const value = request.fields.get('data') ?? request.fields.get('body');
  if (value !== undefined) return yield* reader.inputs(value, false);
  const tensors: [string, Tensor][] = [];
  for (const spec of target.inputs) {
    const field = request.fields.get(spec.name);
    if (field === undefined) {
      const names = target.inputs.map(({ name }) => JSON.stringify(name.slice(0, 64))).join(', ');
      throw new SkerryError(
        'SERVE_REQUEST',
        `the form has neither a field data nor body, nor one for each input (${names.slice(0, 1024)})`,
      );
    }
    tensors.push([spec.name, yield* reader.tensor(field, spec)]);
  }
  return namedTensors(tensors);
}

/** Reads values that are JSON, or the text or the raw elements of one tensor. */
class ValueReader {
  readonly #target: InputsTarget;
  readonly #json: JsonAllowance;

  constructor(target: InputsTarget) {
    this.#target = target;
    this.#json = new JsonAllowance(target.jsonElements);
  }

  *inputs(bytes: Uint8Array, isJson: boolean): Generator<void, NamedTensors> {
    const { inputs } = this.#target;
    const [only] = inputs;
    const raw = inputs.length === 1 && !isJson ? only : undefined;
    const value = yield* this.#value(bytes, raw);
    if (value.kind === 'json') return yield* inputsBySignature(value.json, inputs, this.#json);
    return namedTensors([[value.name, value.tensor]]);
  }

  *tensor(bytes: Uint8Array, spec: TensorSpec): Generator<void, Tensor> {
    const value = yield* this.#value(bytes, spec);
    return value.kind === 'json' ? yield* nestedTensor(value.json, { spec, json: this.#json }) : value.tensor;
  }

  /** JSON, or a tensor of the input given where the bytes are none. */
  *#value(bytes: Uint8Array, raw: TensorSpec | undefined): Generator<void, JsonValue | RawValue> {
    if (raw?.datatype === 'BYTES' && !mayBeStrings(bytes)) return this.#text(bytes, raw);
    try {
      return { kind: 'json', json: yield* readPythonJson(bytes, 'the request', this.#target.jsonElements) };
    } catch (cause) {
      if (raw === undefined || !hasCode(cause, 'SERVE_BODY')) throw cause;
      if (raw.datatype === 'BYTES') return this.#text(bytes, raw);
      const shape = rawShape(raw, bytes.byteLength);
      if (shape === undefined) throw cause;
      const tensor = yield* readBinary(raw.datatype, shape, bytes, `input ${JSON.stringify(raw.name)}`);
      return { kind: 'raw', name: raw.name, tensor };
    }
  }

  #text(bytes: Uint8Array, spec: TensorSpec): RawValue {
    return { kind: 'raw', name: spec.name, tensor: { datatype: 'BYTES', shape: fittedShape([1], spec), data: joinBytesElements([bytes]) } };
  }
}

interface JsonValue {
  readonly kind: 'json';
  readonly json: unknown;
}

interface RawValue {
  readonly kind: 'raw';
  readonly name: string;
  readonly tensor: Tensor;
}

const OPENS_STRINGS = /^\s{0,64}["[{]/;

/** Whether the value for a model of strings can be JSON: a text such as `true` or `5` is a string itself. */
function mayBeStrings(bytes: Uint8Array): boolean {
  return OPENS_STRINGS.test(Buffer.from(bytes.subarray(0, 80)).toString('latin1'));
}

/** Shape of an input whose elements are so many bytes, where at most one dimension is not declared and the length fits. */
function rawShape({ datatype, shape, anyShape }: TensorSpec, length: number): readonly number[] | undefined {
  const size = elementSize(datatype);
  const free = shape.filter((dimension) => dimension === -1).length;
  if (size === undefined || anyShape === true || free > 1 || length === 0) return undefined;
  const row = shape.reduce((product, dimension) => (dimension === -1 ? product : product * dimension), size);
  if (free === 0) return row === length ? shape : undefined;
  return row > 0 && length % row === 0 ? shape.map((dimension) => (dimension === -1 ? length / row : dimension)) : undefined;
}
