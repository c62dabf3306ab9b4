import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Millis } from '#shared/kernel/time.js';
import { atOnce } from '#shared/kernel/turns.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { JsonText, readDocument } from '#shared/tensor/json-document.js';
import { fromJsonText } from '#shared/tensor/json-tensor.js';
import { fromJson } from '#shared/tensor/json.js';
import { namedTensors, type Tensor } from '#shared/tensor/tensor.js';
import type { InferAnswer, InferCall } from './calls.js';

// Requests and answers of the Open Inference Protocol v2 with its binary tensor data extension: every tensor goes as it is.

/** Length of the JSON part of a body that has binary tensors behind it. */
export const HEADER_LENGTH = 'inference-header-content-length';

export interface BinaryBody {
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
  readonly headerLength: number;
}

/** The time that is left, as the protocol has it: microseconds, and 0 for no limit. */
export function timeoutParameter(left: Millis): number {
  return Number.isFinite(left) ? Math.ceil(left * 1000) : 0;
}

export function inferBody({ inputs, id, outputs, parameters }: InferCall, left: Millis): BinaryBody {
  const described = Object.entries(inputs).map(([name, { datatype, shape, data }]) => {
    return { name, datatype, shape, parameters: { binary_data_size: data.byteLength } };
  });
  const own = { binary_data_output: true, ...parameters, timeout: timeoutParameter(left) };
  // What holds for the answer as a whole does not hold for outputs that are named.
  const named = outputs?.map(({ name, parameters: said = {} }) => {
    return { name, parameters: 'shared_memory_region' in said ? said : { binary_data: own.binary_data_output, ...said } };
  });
  const head = Buffer.from(JSON.stringify({ id, inputs: described, outputs: named, parameters: own }));
  const parts = [head, ...Object.values(inputs).map(({ data }) => data)];
  return { parts, headerLength: head.byteLength, byteLength: parts.reduce((sum, part) => sum + part.byteLength, 0) };
}

const answerSchema = z.object({
  model_name: z.string(),
  model_version: z.string().default(''),
  id: z.string().optional(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DATATYPES),
      shape: z.array(z.int()),
      data: z.union([z.instanceof(JsonText), z.array(z.unknown())]).optional(),
      parameters: z.looseObject({ binary_data_size: z.int().min(0).optional() }).optional(),
    }),
  ),
});

/** Members of an answer whose elements are read from their text, so that no digit is lost and NaN may be a bare word. */
const TENSOR_MEMBERS: ReadonlySet<string> = new Set(['data']);

/** Reads an answer; `headerLength` is that of its JSON part, undefined when it is all JSON. Errors: `CLIENT_ANSWER`, those of tensors. */
export function readInferAnswer(bytes: Uint8Array, headerLength: number | undefined): InferAnswer {
  const options = { what: 'the answer', code: 'CLIENT_ANSWER', tensorMembers: TENSOR_MEMBERS } as const;
  if ((headerLength ?? bytes.byteLength) > LIMITS.inferBodyBytes) {
    throw new SkerryError('CLIENT_ANSWER', `the answer has more than ${LIMITS.inferBodyBytes} bytes of JSON`);
  }
  const answer = narrow(answerSchema, atOnce(readDocument(bytes.subarray(0, headerLength), options)), options.what, options.code);
  let at = headerLength ?? bytes.byteLength;
  const outputs = answer.outputs.map(({ name, datatype, shape, data, parameters }): [string, Tensor] => {
    const what = `output ${JSON.stringify(name)}`;
    if (data instanceof JsonText) return [name, atOnce(fromJsonText(datatype, shape, data, what))];
    if (data !== undefined) return [name, fromJson(datatype, shape, data, what)];
    const end = at + (parameters?.binary_data_size ?? 0);
    if (end > bytes.byteLength) throw new SkerryError('CLIENT_ANSWER', `the answer ends within ${what}`);
    const tensor = fromBinary(datatype, shape, bytes.subarray(at, end), what);
    at = end;
    return [name, tensor];
  });
  return { model: answer.model_name, version: answer.model_version, id: answer.id, outputs: namedTensors(outputs) };
}
