import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { MODEL_INFER_REQUEST } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import { readBinary } from '#shared/tensor/binary.js';
import { namedTensors, type Tensor } from '#shared/tensor/tensor.js';
import { datatypeAt, type JsonObject, optionalBooleanAt, optionalStringAt, stringAt } from '../../../json/fields.js';
import { readOutputs, regionAt } from '../oip-outputs.js';
import { type OipRequest, readOptions, type RegionInput } from '../oip-request.js';
import { parametersObject } from './grpc-parameters.js';
import { tensorFromContents } from './tensor-contents.js';

export type ModelInferRequest = MessageOf<typeof MODEL_INFER_REQUEST>;
type InputMessage = ModelInferRequest['inputs'][number];

/** Parameters whose names begin so are the protocol's own. */
const RESERVED = 'triton_';
const FINAL_RESPONSE = 'triton_enable_empty_final_response';

/**
 * Reads an inference request; tensors of raw contents are views over the message. It can be interrupted wherever it yields. Errors:
 * `SERVE_REQUEST`, those of tensors, and those of `tensorFromContents`.
 */
export function* readInferRequest(message: ModelInferRequest): Generator<void, OipRequest> {
  const parameters = parametersObject(message.parameters);
  checkNames(parameters);
  return {
    ...readOptions(parameters),
    id: optionalStringAt(message.id, 'id', LIMITS.requestIdLength),
    outputs: readOutputs(message.outputs.map(({ name, parameters: wishes }) => ({ name, parameters: parametersObject(wishes) }))),
    // Messages carry values as bytes, whatever form is asked for.
    binaryOutput: true,
    ...(yield* readInputs(message)),
  };
}

function checkNames(parameters: JsonObject): void {
  optionalBooleanAt(parameters[FINAL_RESPONSE], `parameters.${FINAL_RESPONSE}`);
  const unknown = Object.keys(parameters).find((name) => name.startsWith(RESERVED) && name !== FINAL_RESPONSE);
  if (unknown === undefined) return;
  throw new SkerryError(
    'SERVE_REQUEST',
    `parameter ${JSON.stringify(unknown.slice(0, 64))} begins with ${RESERVED}, of which only ${FINAL_RESPONSE} is known`,
  );
}

/** The tensors that came with the message, and where the others lie. Each entry of raw contents belongs to the next input without a region. */
function* readInputs(message: ModelInferRequest): Generator<void, Pick<OipRequest, 'inputs' | 'regions'>> {
  const { model_name: model, inputs, raw_input_contents: raw } = message;
  const tensors = new Map<string, Tensor>();
  const regions = new Map<string, RegionInput>();
  let nextRaw = 0;
  for (const [index, input] of inputs.entries()) {
    const path = `inputs[${index}]`;
    const name = stringAt(input.name, `${path}.name`, LIMITS.tensorNameBytes);
    if (tensors.has(name) || regions.has(name))
      throw new SkerryError('SERVE_REQUEST', `${path}: input ${JSON.stringify(name)} is given twice`);
    const datatype = datatypeAt(input.datatype, `${path}.datatype`);
    const place = regionAt(parametersObject(input.parameters), `${path}.parameters`);
    if (input.contents !== undefined && (raw.length > 0 || place !== undefined)) throw twoSources(name, model, place === undefined);
    if (place === undefined) tensors.set(name, yield* readTensor({ ...input, datatype }, raw[nextRaw++]));
    else regions.set(name, { name, datatype, shape: input.shape, place });
  }
  if (nextRaw < raw.length) {
    throw new SkerryError('SERVE_REQUEST', `raw_input_contents has ${raw.length} entries, ${nextRaw} inputs take one`);
  }
  return { inputs: namedTensors(tensors), regions: [...regions.values()] };
}

/** Clients know these words. */
function twoSources(name: string, model: string, isRaw: boolean): SkerryError {
  const other = isRaw ? 'raw_input_contents' : 'shared memory';
  return new SkerryError(
    'SERVE_REQUEST',
    `contents field must not be specified when using ${other} for '${name}' for model '${model.slice(0, LIMITS.nameLength)}'`,
  );
}

function* readTensor(
  input: Pick<InputMessage, 'name' | 'shape' | 'contents'> & Pick<Tensor, 'datatype'>,
  raw: Uint8Array | undefined,
): Generator<void, Tensor> {
  const { name, datatype, shape, contents } = input;
  const what = `input ${JSON.stringify(name)}`;
  if (contents !== undefined) return yield* tensorFromContents(datatype, shape, contents, what);
  if (raw !== undefined) return yield* readBinary(datatype, shape, raw, what);
  throw new SkerryError('SERVE_REQUEST', `${what} has no data: neither contents nor an entry of raw_input_contents`);
}
