import { SkerryError } from '#shared/kernel/errors.js';
import type { INFER_PARAMETER } from '#shared/protobuf/inference/grpc-service-proto.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import type { JsonObject } from '../../../json/fields.js';

type InferParameters = ReadonlyMap<string, MessageOf<typeof INFER_PARAMETER>>;

/** Parameters of a message as they would come in JSON, so that one reader serves both. Errors: `SERVE_REQUEST` for one without a value. */
export function parametersObject(parameters: InferParameters): JsonObject {
  // Object.fromEntries defines members, where an assignment to `__proto__` would set the prototype.
  return Object.fromEntries(
    [...parameters].map(([name, parameter]) => {
      const { bool_param: flag, int64_param: signed, uint64_param: unsigned, double_param: number, string_param: text } = parameter;
      const value = flag ?? number ?? text ?? jsonNumber(signed ?? unsigned);
      if (value !== undefined) return [name, value] as const;
      throw new SkerryError('SERVE_REQUEST', `parameter ${JSON.stringify(name.slice(0, 64))} has no value`);
    }),
  );
}

/** A number where it is exact. */
function jsonNumber(value: bigint | undefined): number | bigint | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
