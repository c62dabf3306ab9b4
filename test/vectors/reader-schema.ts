import { z } from 'zod';

/**
 * A schema as JSON Schema, so that a later release can ask whether this one would read a document. Bytes and values that a schema checks
 * by code of its own are taken as they come; objects take members they do not name, as our readers do.
 */
export function jsonSchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'ref' });
}
