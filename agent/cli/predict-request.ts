import { z } from 'zod';
import type { Parameters, RequestedOutput } from '#shared/client/calls.js';
import { narrow } from '#shared/kernel/json.js';
import type { Millis } from '#shared/kernel/time.js';
import { DATATYPES } from '#shared/tensor/datatype.js';
import { fromJson } from '#shared/tensor/json.js';
import { namedTensors, type NamedTensors, type Tensor } from '#shared/tensor/tensor.js';

/** What the command asks for. */
export interface PredictRequest {
  readonly inputs: NamedTensors;
  readonly id?: string | undefined;
  readonly outputs?: readonly RequestedOutput[] | undefined;
  readonly parameters: Parameters;
  /** How long the agent may take, as the request says it; infinite where it says that there is no limit. */
  readonly timeout?: Millis | undefined;
}

/** Parameters of a request, with the time that it may take apart. The protocol counts in microseconds, and 0 is no limit. */
export const parametersSchema = z
  .looseObject({ timeout: z.number().min(0).optional() })
  .pipe(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])))
  .nullish()
  .transform((given): Pick<PredictRequest, 'parameters' | 'timeout'> => {
    const { timeout, ...parameters } = given ?? {};
    return { parameters, ...(typeof timeout === 'number' && { timeout: timeout === 0 ? Number.POSITIVE_INFINITY : timeout / 1000 }) };
  });

const protocolSchema = z.strictObject({
  id: z.string().optional(),
  inputs: z.array(z.strictObject({ name: z.string(), datatype: z.enum(DATATYPES), shape: z.array(z.int()), data: z.unknown() })),
  outputs: z
    .array(
      z.strictObject({ name: z.string(), parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional() }),
    )
    .optional(),
  parameters: parametersSchema,
});

/** A whole request of the protocol, from a file. Errors: `INPUT_SCHEMA`, those of tensors. */
export function protocolRequest(request: unknown, path: string): PredictRequest {
  const { inputs, parameters: said, ...rest } = narrow(protocolSchema, request, path);
  const tensors = inputs.map(({ name, datatype, shape, data }): [string, Tensor] => {
    return [name, fromJson(datatype, shape, data, `input ${JSON.stringify(name)}`)];
  });
  return { ...rest, ...said, inputs: namedTensors(tensors) };
}
