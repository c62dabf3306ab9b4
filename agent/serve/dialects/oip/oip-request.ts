import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { fromFixedBinary, readBinary } from '#shared/tensor/binary.js';
import { JsonText, readDocument } from '#shared/tensor/json-document.js';
import { fromJsonText } from '#shared/tensor/json-tensor.js';
import { fromJson } from '#shared/tensor/json.js';
import { elementCount, formatShape } from '#shared/tensor/shape.js';
import { type NamedTensors, namedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { SequenceStep } from '#agent/inference/contract.js';
import type { Datatype } from '#shared/tensor/datatype.js';
import {
  arrayAt,
  datatypeAt,
  objectAt,
  optionalBooleanAt,
  optionalCountAt,
  optionalObjectAt,
  optionalStringAt,
  optionalUnsignedAt,
  shapeAt,
  stringAt,
  type JsonObject,
} from '../../json/fields.js';
import { JsonAllowance } from '../../json/json-allowance.js';
import { type OutputWish, readOutputs, regionAt, type RegionPlace } from './oip-outputs.js';

// Open Inference Protocol v2, "Inference Request JSON Object", and the binary tensor data extension.

/** Length of the JSON part of a body whose rest is binary tensor data. */
export const HEADER_LENGTH_FIELD = 'inference-header-content-length';

/** Key of a request whose body does not say one in `parameters.key`. */
export const KEY_FIELD = 'x-skerry-key';

export interface OipRequest {
  readonly id: string | undefined;
  /** `parameters.key`: requests with one key stay with one version while two share the traffic. */
  readonly key: string | undefined;
  /** Inputs whose data came with the request. */
  readonly inputs: NamedTensors;
  /** Inputs whose data lies in shared memory. */
  readonly regions: readonly RegionInput[];
  /** Outputs asked for; undefined: all. */
  readonly outputs: readonly OutputWish[] | undefined;
  /** Where no outputs are listed: the whole answer as binary data. */
  readonly binaryOutput: boolean;
  /** `parameters.timeout`, microseconds in the protocol's request parameters, here milliseconds. */
  readonly timeout: number | undefined;
  readonly priority: number | undefined;
  readonly sequence: SequenceStep | undefined;
}

/** An input whose data lies in shared memory. */
export interface RegionInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly place: RegionPlace;
}

/** The JSON part of a request: everything but the data of tensors that lies behind it. */
export interface RequestHead {
  readonly rest: Omit<OipRequest, 'inputs'>;
  /** In their order, without those in shared memory. */
  readonly described: readonly DescribedInput[];
}

/** An input, and the number of its bytes behind the JSON part, or its elements in it. */
interface DescribedInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly size: number | undefined;
  readonly data: unknown;
}

/**
 * Reads the body of an inference request; tensors of binary data are views over `bytes`. It can be interrupted wherever it yields.
 * Errors are `SERVE_BODY`, `SERVE_REQUEST`, `SERVE_JSON_TOO_LARGE` for more than `jsonElements` in all, and those of tensors.
 */
export function* parseInferRequest(bytes: Uint8Array, headerLength: string | undefined, jsonElements: number): Generator<void, OipRequest> {
  const jsonLength = headLength(headerLength, bytes.byteLength);
  return yield* withTensors(yield* readHead(bytes.subarray(0, jsonLength)), bytes.subarray(jsonLength), jsonElements);
}

/** Reads the JSON part of a request. Errors: `SERVE_BODY`, `SERVE_REQUEST`, those of datatypes and shapes. */
export function* readHead(bytes: Uint8Array): Generator<void, RequestHead> {
  const document = objectAt(yield* parse(bytes), 'the request');
  const parameters = optionalObjectAt(document['parameters'], 'parameters');
  const described: DescribedInput[] = [];
  const regions: RegionInput[] = [];
  const names = new Set<string>();
  // What is small comes first: tensors may be large, and a mistake elsewhere need not wait for them.
  const rest = {
    ...readOptions(parameters),
    id: optionalStringAt(document['id'], 'id', LIMITS.requestIdLength),
    outputs: readOutputs(document['outputs']),
    binaryOutput: optionalBooleanAt(parameters['binary_data_output'], 'parameters.binary_data_output') ?? false,
  };
  for (const [index, entry] of arrayAt(document['inputs'], 'inputs', LIMITS.tensorsPerModel).entries()) {
    const path = `inputs[${index}]`;
    const input = objectAt(entry, path);
    const name = stringAt(input['name'], `${path}.name`, LIMITS.tensorNameBytes);
    if (names.has(name)) throw new SkerryError('SERVE_REQUEST', `${path}: input ${JSON.stringify(name)} is given twice`);
    names.add(name);
    const read = readInput(input, name, path);
    if ('place' in read) regions.push(read);
    else described.push(read);
  }
  return { rest: { ...rest, regions }, described };
}

/** The request with its tensors: those of binary data are views over what lies behind the JSON part. Errors: as `parseInferRequest`. */
export function* withTensors({ described, rest }: RequestHead, behind: Uint8Array, jsonElements: number): Generator<void, OipRequest> {
  const json = new JsonAllowance(jsonElements);
  const binary = new BinaryReader(behind);
  const inputs: [string, Tensor][] = [];
  for (const input of described) {
    const { name, datatype, shape, size } = input;
    const what = `input ${JSON.stringify(name)}`;
    const taken = size === undefined ? undefined : binary.take(size, what);
    const fixed = taken === undefined ? undefined : fromFixedBinary(datatype, shape, taken, what);
    const checked = taken === undefined ? readJson(input, json, what) : readBinary(datatype, shape, taken, what);
    inputs.push([name, fixed ?? (yield* checked)]);
  }
  binary.end();
  return { ...rest, inputs: namedTensors(inputs) };
}

/** What the parameters of a request ask for, whichever way they came. */
export function readOptions(parameters: JsonObject): Pick<OipRequest, 'key' | 'timeout' | 'priority' | 'sequence'> {
  const timeout = Number(optionalUnsignedAt(parameters['timeout'], 'parameters.timeout') ?? 0);
  const priority = optionalUnsignedAt(parameters['priority'], 'parameters.priority');
  return {
    key: optionalStringAt(parameters['key'], 'parameters.key', LIMITS.nameLength),
    timeout: timeout === 0 ? undefined : timeout / 1000,
    priority: priority === undefined ? undefined : Number(priority),
    sequence: readSequence(parameters),
  };
}

/** Triton's sequence extension; an id of 0 or an empty one says that the request belongs to no sequence. */
function readSequence(parameters: JsonObject): SequenceStep | undefined {
  const start = optionalBooleanAt(parameters['sequence_start'], 'parameters.sequence_start') ?? false;
  const end = optionalBooleanAt(parameters['sequence_end'], 'parameters.sequence_end') ?? false;
  const given = parameters['sequence_id'];
  const path = 'parameters.sequence_id';
  const id = typeof given === 'string' ? optionalStringAt(given, path, LIMITS.nameLength) : optionalUnsignedAt(given, path);
  return id === undefined || id === 0n ? undefined : { id, start, end };
}

/** The key a request's header gives; an empty one is none. */
export function readKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined || header === '') return undefined;
  return stringAt(header, `the header ${KEY_FIELD}`, LIMITS.nameLength);
}

/** Length of the JSON part of a body, as the header of the request says; without one it is the whole body. Errors: `SERVE_BODY`. */
export function headLength(text: string | undefined, bodyLength: number): number {
  if (text === undefined) return bodyLength;
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
    return yield* readDocument(bytes, { what: 'the body', code: 'SERVE_BODY', tensorMembers: TENSOR_MEMBERS, python: true });
  } catch (cause) {
    if (!hasCode(cause, 'SERVE_BODY') || !Buffer.from(bytes.subarray(0, 64 * 1024)).includes('"binary_data_size"')) throw cause;
    // What clients get wrong most often here.
    const advice = 'a body with binary tensors needs the header Inference-Header-Content-Length with the length of its JSON part';
    throw new SkerryError('SERVE_BODY', `${cause.message}; ${advice}`, { cause });
  }
}

/** "Tensor Data". */
const TENSOR_MEMBERS: ReadonlySet<string> = new Set(['data']);

function readInput(input: JsonObject, name: string, path: string): DescribedInput | RegionInput {
  const datatype = datatypeAt(input['datatype'], `${path}.datatype`);
  const shape = shapeAt(input['shape'], `${path}.shape`, LIMITS.tensorRank);
  const { data } = input;
  const parameters = optionalObjectAt(input['parameters'], `${path}.parameters`);
  const place = regionAt(parameters, `${path}.parameters`);
  const size = optionalCountAt(parameters['binary_data_size'], `${path}.parameters.binary_data_size`);
  const hasData = data !== undefined && data !== null;
  if (Number(place !== undefined) + Number(size !== undefined) + Number(hasData) > 1) {
    throw new SkerryError(
      'SERVE_REQUEST',
      `${path} has more than one of data, parameters.binary_data_size and parameters.shared_memory_region`,
    );
  }
  return place === undefined ? { name, datatype, shape, size, data } : { name, datatype, shape, place };
}

function* readJson({ datatype, shape, data }: DescribedInput, json: JsonAllowance, what: string): Generator<void, Tensor> {
  json.take(elementCount(shape, what), `${what} ${formatShape(shape)}`, 'Send it as binary data: parameters.binary_data_size');
  return data instanceof JsonText ? yield* fromJsonText(datatype, shape, data, what) : fromJson(datatype, shape, data ?? undefined, what);
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
