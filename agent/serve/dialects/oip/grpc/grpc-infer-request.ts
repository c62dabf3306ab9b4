import type { InferRequest } from '#agent/inference/contract.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { MODEL_INFER_REQUEST } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import { readBinary } from '#shared/tensor/binary.js';
import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';
import { datatypeAt, optionalStringAt, stringAt } from '../../../json/fields.js';
import { countParameter, flagParameter, idParameter, type InferParameters, textParameter } from './grpc-parameters.js';
import { tensorFromContents } from './tensor-contents.js';

export type ModelInferRequest = MessageOf<typeof MODEL_INFER_REQUEST>;
type InputMessage = ModelInferRequest['inputs'][number];

/** What an inference request asks for beside its tensors. */
export interface InferOptions extends Pick<InferRequest, 'priority' | 'sequence' | 'timeout' | 'outputs'> {
  readonly id: string | undefined;
  readonly key: string | undefined;
}

/** Parameters whose names begin so are the protocol's own. */
const RESERVED = 'triton_';
const FINAL_RESPONSE = 'triton_enable_empty_final_response';

/** Errors: `SERVE_REQUEST`. */
export function readOptions({ id, parameters, outputs }: ModelInferRequest): InferOptions {
  checkNames(parameters);
  const timeout = countParameter(parameters, 'timeout');
  return {
    id: optionalStringAt(id, 'id', LIMITS.nameLength),
    key: optionalStringAt(textParameter(parameters, 'key'), 'parameters.key', LIMITS.nameLength),
    priority: countParameter(parameters, 'priority'),
    sequence: readSequence(parameters),
    // Microseconds; 0 is none.
    timeout: timeout === undefined || timeout === 0 ? undefined : timeout / 1000,
    outputs: readOutputs(outputs),
  };
}

function checkNames(parameters: InferParameters): void {
  flagParameter(parameters, FINAL_RESPONSE);
  for (const [name, value] of parameters) {
    if (name.startsWith(RESERVED) && name !== FINAL_RESPONSE) {
      throw new SkerryError(
        'SERVE_REQUEST',
        `parameter ${JSON.stringify(name.slice(0, 64))} begins with ${RESERVED}, of which only ${FINAL_RESPONSE} is known`,
      );
    }
    if (Object.values(value).every((choice) => choice === undefined)) {
      throw new SkerryError('SERVE_REQUEST', `parameter ${JSON.stringify(name.slice(0, 64))} has no value`);
    }
  }
}

function readSequence(parameters: InferParameters): InferOptions['sequence'] {
  const id = idParameter(parameters, 'sequence_id');
  const [start, end] = [flagParameter(parameters, 'sequence_start'), flagParameter(parameters, 'sequence_end')];
  if (id === undefined || id === 0n || id === '') return undefined;
  if (typeof id === 'string') stringAt(id, 'parameters.sequence_id', LIMITS.nameLength);
  return { id, start: start ?? false, end: end ?? false };
}

function readOutputs(outputs: ModelInferRequest['outputs']): InferOptions['outputs'] {
  // OIP v2: without requested outputs the server returns all.
  if (outputs.length === 0) return undefined;
  const names = outputs.map(({ name, parameters }, index) => {
    const what = `outputs[${index}]`;
    if (countParameter(parameters, 'classification') !== undefined) {
      throw new SkerryError('SERVE_REQUEST', `${what}: classification is not supported`);
    }
    refuseRegion(parameters, what);
    return stringAt(name, `${what}.name`, LIMITS.tensorNameBytes);
  });
  return [...new Set(names)];
}

/**
 * The tensors of an inference request; those of raw contents are views over the message. It can be interrupted wherever it yields. Errors:
 * `SERVE_REQUEST` and those of tensors.
 */
export function* readInputs({ model_name: model, inputs, raw_input_contents: raw }: ModelInferRequest): Generator<void, NamedTensors> {
  const tensors = new Map<string, Tensor>();
  let nextRaw = 0;
  for (const [index, input] of inputs.entries()) {
    const path = `inputs[${index}]`;
    const name = stringAt(input.name, `${path}.name`, LIMITS.tensorNameBytes);
    if (tensors.has(name)) throw new SkerryError('SERVE_REQUEST', `${path}: input ${JSON.stringify(name)} is given twice`);
    refuseRegion(input.parameters, path);
    // Clients know these words.
    if (raw.length > 0 && input.contents !== undefined) {
      throw new SkerryError(
        'SERVE_REQUEST',
        `contents field must not be specified when using raw_input_contents for '${name}' for model '${model.slice(0, LIMITS.nameLength)}'`,
      );
    }
    tensors.set(name, yield* readTensor(input, raw[nextRaw], path));
    nextRaw++;
  }
  if (nextRaw < raw.length) {
    throw new SkerryError('SERVE_REQUEST', `raw_input_contents has ${raw.length} entries, ${nextRaw} inputs take one`);
  }
  return namedTensors(tensors);
}

function* readTensor(input: InputMessage, raw: Uint8Array | undefined, path: string): Generator<void, Tensor> {
  const { name, shape, contents } = input;
  const datatype = datatypeAt(input.datatype, `${path}.datatype`);
  const what = `input ${JSON.stringify(name)}`;
  if (contents !== undefined) return yield* tensorFromContents(datatype, shape, contents, what);
  if (raw !== undefined) return yield* readBinary(datatype, shape, raw, what);
  throw new SkerryError('SERVE_REQUEST', `${what} has no data: neither contents nor an entry of raw_input_contents`);
}

function refuseRegion(parameters: InferParameters, path: string): void {
  if (textParameter(parameters, 'shared_memory_region') === undefined) return;
  throw new SkerryError('SERVE_REQUEST', `${path}: shared memory regions are not supported, send the data itself`);
}
