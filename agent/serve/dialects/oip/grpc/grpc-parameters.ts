import { SkerryError } from '#shared/kernel/errors.js';
import type { INFER_PARAMETER } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageOf } from '#shared/protobuf/schema.js';

export type InferParameter = MessageOf<typeof INFER_PARAMETER>;
export type InferParameters = ReadonlyMap<string, InferParameter>;

// Parameters of a message by name. A value of another type than the parameter has is refused, as Triton does.

export function textParameter(parameters: InferParameters, name: string): string | undefined {
  return typed(parameters, name, 'string_param', ({ string_param: value }) => value);
}

export function flagParameter(parameters: InferParameters, name: string): boolean | undefined {
  return typed(parameters, name, 'bool_param', ({ bool_param: value }) => value);
}

/** A whole number of at least 0. */
export function countParameter(parameters: InferParameters, name: string): number | undefined {
  const value = typed(parameters, name, 'int64_param or uint64_param', wholeNumber);
  if (value === undefined) return undefined;
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new SkerryError('SERVE_REQUEST', `parameter ${JSON.stringify(name)} must be a whole number of at least 0, it is ${value}`);
}

/** A number or a text, as the id of a sequence is. */
export function idParameter(parameters: InferParameters, name: string): bigint | string | undefined {
  return typed(
    parameters,
    name,
    'int64_param, uint64_param or string_param',
    (parameter) => wholeNumber(parameter) ?? parameter.string_param,
  );
}

function wholeNumber({ int64_param: signed, uint64_param: unsigned }: InferParameter): bigint | undefined {
  return signed ?? unsigned;
}

function typed<T>(
  parameters: InferParameters,
  name: string,
  expected: string,
  read: (parameter: InferParameter) => T | undefined,
): T | undefined {
  const parameter = parameters.get(name);
  if (parameter === undefined) return undefined;
  const value = read(parameter);
  if (value !== undefined) return value;
  throw new SkerryError('SERVE_REQUEST', `invalid value type for '${name}' parameter, expected ${expected}`);
}
