import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { readBinary } from '#shared/tensor/binary.js';
import { JsonText, readDocument } from '#shared/tensor/json-document.js';
import { fromJsonText } from '#shared/tensor/json-tensor.js';
import { fromJson } from '#shared/tensor/json.js';
import { elementCount, formatShape } from '#shared/tensor/shape.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import {
  arrayAt,
  datatypeAt,
  isObject,
  objectAt,
  optionalBooleanAt,
  optionalCountAt,
  optionalObjectAt,
  optionalStringAt,
  shapeAt,
  stringAt,
  type JsonObject,
} from '../../json/fields.js';
import { JsonAllowance } from '../../json/json-allowance.js';

// Open Inference Protocol v2, "Inference Request JSON Object", and the binary tensor data extension.

/** Length of the JSON part of a body whose rest is binary tensor data. */
export const HEADER_LENGTH_FIELD = 'inference-header-content-length';

/** Key of a request whose body does not say one in `parameters.key`. */
export const KEY_FIELD = 'x-skerry-key';

export interface OipRequest {
  readonly id: string | undefined;
  /** `parameters.key`: requests with one key stay with one version while two share the traffic. */
  readonly key: string | undefined;
  readonly inputs: NamedTensors;
  /** Outputs asked for, in order, and whether each comes back as binary data; undefined: all. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[] | undefined;
  /** For outputs not listed: the whole answer as binary data. */
  readonly binaryOutput: boolean;
  /** `parameters.timeout`, microseconds in the protocol's request parameters, here milliseconds. */
  readonly timeout: number | undefined;
}

/**
 * Reads the body of an inference request; tensors of binary data are views over `bytes`. It can be interrupted wherever it yields.
 * Errors are `SERVE_BODY`, `SERVE_REQUEST`, `SERVE_JSON_TOO_LARGE` for more than `jsonElements` in all, and those of tensors.
 */
export function* parseInferRequest(bytes: Uint8Array, headerLength: string | undefined, jsonElements: number): Generator<void, OipRequest> {
  const jsonLength = headerLength === undefined ? bytes.byteLength : parseHeaderLength(headerLength, bytes.byteLength);
  const document = objectAt(yield* parse(bytes.subarray(0, jsonLength)), 'the request');
  const json = new JsonAllowance(jsonElements);
  const binary = new BinaryReader(bytes.subarray(jsonLength));
  const inputs: Record<string, Tensor> = {};
  for (const [index, entry] of arrayAt(document['inputs'], 'inputs', LIMITS.tensorsPerModel).entries()) {
    const path = `inputs[${index}]`;
    const input = objectAt(entry, path);
    const name = stringAt(input['name'], `${path}.name`, LIMITS.tensorNameBytes);
    if (Object.hasOwn(inputs, name)) throw new SkerryError('SERVE_REQUEST', `${path}: input ${JSON.stringify(name)} is given twice`);
    Object.defineProperty(inputs, name, { value: yield* readTensor(input, name, path, { binary, json }), enumerable: true });
  }
  binary.end();
  const parameters = optionalObjectAt(document['parameters'], 'parameters');
  const binaryOutput = optionalBooleanAt(parameters['binary_data_output'], 'parameters.binary_data_output') ?? false;
  const timeout = optionalCountAt(parameters['timeout'], 'parameters.timeout');
  return {
    id: optionalStringAt(document['id'], 'id', LIMITS.nameLength),
    key: optionalStringAt(parameters['key'], 'parameters.key', LIMITS.nameLength),
    inputs,
    outputs: readOutputs(document['outputs'], binaryOutput),
    binaryOutput,
    timeout: timeout === undefined || timeout === 0 ? undefined : timeout / 1000,
  };
}

/** The key a request's header gives; an empty one is none. */
export function readKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined || header === '') return undefined;
  return stringAt(header, `the header ${KEY_FIELD}`, LIMITS.nameLength);
}

function parseHeaderLength(text: string, bodyLength: number): number {
  const length = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (length > 0 && length <= bodyLength) return length;
  throw new SkerryError(
    'SERVE_BODY',
    `Inference-Header-Content-Length must be a whole number from 1 to the body's ${bodyLength} bytes, it is ${JSON.stringify(text.slice(0, 32))}`,
  );
}

function* parse(bytes: Uint8Array): Generator<void, unknown> {
  if (bytes.byteLength === 0) throw new SkerryError('SERVE_BODY', 'the body is empty, expected an inference request in JSON');
  try {
    return yield* readDocument(bytes, { what: 'the body', code: 'SERVE_BODY', tensorMembers: TENSOR_MEMBERS });
  } catch (cause) {
    if (!hasCode(cause, 'SERVE_BODY') || !Buffer.from(bytes.subarray(0, 64 * 1024)).includes('"binary_data_size"')) throw cause;
    // What clients get wrong most often here.
    const advice = 'a body with binary tensors needs the header Inference-Header-Content-Length with the length of its JSON part';
    throw new SkerryError('SERVE_BODY', `${cause.message}; ${advice}`, { cause });
  }
}

/** "Tensor Data". */
const TENSOR_MEMBERS: ReadonlySet<string> = new Set(['data']);

interface TensorSources {
  readonly binary: BinaryReader;
  readonly json: JsonAllowance;
}

function* readTensor(input: JsonObject, name: string, path: string, { binary, json }: TensorSources): Generator<void, Tensor> {
  const datatype = datatypeAt(input['datatype'], `${path}.datatype`);
  const shape = shapeAt(input['shape'], `${path}.shape`, LIMITS.tensorRank);
  const what = `input ${JSON.stringify(name)}`;
  const { parameters, data } = input;
  if (isObject(parameters) && given(parameters['shared_memory_region'])) {
    throw new SkerryError('SERVE_REQUEST', `${path}: shared memory regions are not supported, send the data itself`);
  }
  const size = optionalCountAt(
    optionalObjectAt(parameters, `${path}.parameters`)['binary_data_size'],
    `${path}.parameters.binary_data_size`,
  );
  if (size === undefined) {
    json.take(elementCount(shape, what), `${what} ${formatShape(shape)}`, 'Send it as binary data: parameters.binary_data_size');
    return data instanceof JsonText ? yield* fromJsonText(datatype, shape, data, what) : fromJson(datatype, shape, data ?? undefined, what);
  }
  if (given(data)) throw new SkerryError('SERVE_REQUEST', `${path} has both data and parameters.binary_data_size`);
  return yield* readBinary(datatype, shape, binary.take(size, what), what);
}

function readOutputs(value: unknown, binaryOutput: boolean): OipRequest['outputs'] {
  if (!given(value)) return undefined;
  const entries = arrayAt(value, 'outputs', LIMITS.tensorsPerModel);
  // OIP v2: without requested outputs the server returns all; an empty list says no more than none.
  if (entries.length === 0) return undefined;
  return entries.map((entry, index) => {
    const path = `outputs[${index}]`;
    const output = objectAt(entry, path);
    const parameters = optionalObjectAt(output['parameters'], `${path}.parameters`);
    if (given(parameters['classification'])) throw new SkerryError('SERVE_REQUEST', `${path}: classification is not supported`);
    const binary = optionalBooleanAt(parameters['binary_data'], `${path}.parameters.binary_data`);
    return { name: stringAt(output['name'], `${path}.name`, LIMITS.tensorNameBytes), binary: binary ?? binaryOutput };
  });
}

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Hands out the binary part of a body in order. */
class BinaryReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(size: number, what: string): Uint8Array {
    const end = this.#offset + size;
    if (end > this.#bytes.byteLength) {
      throw new SkerryError(
        'SERVE_BODY',
        `${what} has a binary_data_size of ${size} bytes, the body has ${this.#bytes.byteLength - this.#offset} left (is Inference-Header-Content-Length set?)`,
      );
    }
    const part = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return part;
  }

  end(): void {
    const left = this.#bytes.byteLength - this.#offset;
    if (left > 0) throw new SkerryError('SERVE_BODY', `${left} bytes of binary data belong to no input`);
  }
}
