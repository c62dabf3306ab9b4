import { z } from 'zod';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { fromBinary } from '#shared/tensor/binary.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import type { NamedTensors, Tensor } from '#shared/tensor/tensor.js';
import { asElement, keepDigits } from './predict-input.js';

// Open Inference Protocol v2 with the binary tensor data extension, from the asking side: every tensor goes as it is.

export interface RequestBody {
  readonly bytes: Uint8Array;
  /** Length of its JSON part. */
  readonly headerLength: number;
  /** How long the agent may take, as the request tells it; undefined where it says that there is no limit, or what is no time. */
  readonly timeout: Millis | undefined;
}

export interface Reply {
  readonly model: string;
  readonly version: string;
  readonly outputs: NamedTensors;
}

type Parameters = Readonly<Record<string, unknown>>;

/** What a prediction may take where nobody says. */
const DEFAULT_TIMEOUT: Millis = minutes(1);

/** Parameters of a request with the time it may take: what the caller says now, else what they say already. The protocol counts in microseconds. */
export function withTimeout(parameters: Parameters, timeout: Millis | undefined): Parameters {
  if (timeout === undefined && Object.hasOwn(parameters, 'timeout')) return parameters;
  return { ...parameters, timeout: (timeout ?? DEFAULT_TIMEOUT) * 1000 };
}

function timeoutIn({ timeout }: Parameters): Millis | undefined {
  return typeof timeout === 'number' && timeout > 0 ? timeout / 1000 : undefined;
}

export function inferBody(inputs: NamedTensors, given: Parameters): RequestBody {
  const described = Object.entries(inputs).map(([name, { datatype, shape, data }]) => {
    return { name, datatype, shape, parameters: { binary_data_size: data.byteLength } };
  });
  const parameters = { binary_data_output: true, ...given };
  const head = Buffer.from(JSON.stringify({ inputs: described, parameters }));
  const bytes = Buffer.concat([head, ...Object.values(inputs).map(({ data }) => data)]);
  return { bytes, headerLength: head.byteLength, timeout: timeoutIn(parameters) };
}

const givenInputSchema = z.looseObject({ name: z.string(), datatype: z.enum(DATATYPES), shape: z.array(z.int()), data: z.unknown() });
const requestSchema = z.looseObject({ inputs: z.array(z.unknown()), parameters: z.looseObject({}).nullish() });

/** A whole request of the protocol: its inputs become binary, the rest stays as it is; what it does not say about outputs is binary. */
export function protocolBody(request: unknown, timeout: Millis | undefined): RequestBody {
  const { inputs, parameters: given, ...rest } = requestSchema.parse(request);
  const parts: Uint8Array[] = [];
  const sent = inputs.map((input) => {
    const read = givenInputSchema.safeParse(input);
    // What is not as it should be is for the agent to refuse.
    if (!read.success || !Array.isArray(read.data.data)) return input;
    const { name, datatype, shape, data, parameters: own, ...others } = read.data;
    const tensor = fromJson(datatype, shape, data, `input ${JSON.stringify(name)}`);
    parts.push(tensor.data);
    return { ...others, name, datatype, shape, parameters: { ...recordOf(own), binary_data_size: tensor.data.byteLength } };
  });
  const parameters = withTimeout({ binary_data_output: true, ...given }, timeout);
  const head = Buffer.from(JSON.stringify({ ...rest, inputs: sent, parameters }));
  return { bytes: Buffer.concat([head, ...parts]), headerLength: head.byteLength, timeout: timeoutIn(parameters) };
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

const replySchema = z.object({
  model_name: z.string(),
  model_version: z.string(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DATATYPES),
      shape: z.array(z.int()),
      data: z.array(z.unknown()).optional(),
      parameters: z.object({ binary_data_size: z.int().min(0).optional() }).optional(),
    }),
  ),
});

/** Reads an answer; `headerLength` is that of its JSON part, undefined when it is all JSON. */
export function readReply(bytes: Uint8Array, headerLength: number | undefined): Reply {
  const options = { what: 'the answer of the agent', maxBytes: LIMITS.inferBodyBytes };
  const head = keepDigits(Buffer.from(bytes.subarray(0, headerLength)).toString());
  const reply = parseJson(replySchema, Buffer.from(head), options);
  let at = headerLength ?? bytes.byteLength;
  const outputs = reply.outputs.map(({ name, datatype, shape, data, parameters }): [string, Tensor] => {
    const what = `output ${JSON.stringify(name)}`;
    if (data !== undefined) {
      const elements = data.map((value) => asElement(datatype, value));
      return [name, fromJson(datatype, shape, elements, what)];
    }
    const end = at + (parameters?.binary_data_size ?? 0);
    if (end > bytes.byteLength) throw new SkerryError('INPUT_SCHEMA', `the answer of the agent ends within ${what}`);
    const tensor = fromBinary(datatype, shape, bytes.subarray(at, end), what);
    at = end;
    return [name, tensor];
  });
  return { model: reply.model_name, version: reply.model_version, outputs: Object.fromEntries(outputs) };
}
