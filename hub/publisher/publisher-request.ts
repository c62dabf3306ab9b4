import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { parseJson } from '#shared/kernel/json.js';
import { publicKeySchema } from '#shared/trust/keys.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import { isSignedBy } from '#shared/trust/signatures.js';
import { roleNameSchema, targetsRoleSchema } from '#shared/trust/role-name.js';
import type { PublisherHub } from './hub-port.js';
import type { PublisherRequest } from './trust-sign.js';

const fileSchema = z.base64().max(Math.ceil(LIMITS.trustFileBytes / 3) * 4);

const requestSchema = openObject({
  schema: z.literal('skerry.publisher-request/1'),
  role: roleNameSchema,
  publicKey: publicKeySchema,
  /** The role's newest targets file, signed by that key: the first one, unless it was let in before. */
  file: fileSchema,
  /** The files of its models, by role. */
  models: z.record(targetsRoleSchema, fileSchema).default({}),
});

/** The file a publisher sends to the root keeper to be let in; it holds nothing secret. */
export function encodePublisherRequest(request: PublisherRequest): Uint8Array {
  const file: z.infer<typeof requestSchema> = {
    schema: 'skerry.publisher-request/1',
    role: request.role,
    publicKey: request.publicKey,
    file: Buffer.from(request.file).toString('base64'),
    models: Object.fromEntries(Object.entries(request.models).map(([model, bytes]) => [model, Buffer.from(bytes).toString('base64')])),
  };
  return new TextEncoder().encode(`${JSON.stringify(file, undefined, 2)}\n`);
}

/** Reads such a file; `INPUT_SCHEMA`. */
export function decodePublisherRequest(bytes: Uint8Array, what: string): PublisherRequest {
  const { role, publicKey, file, models } = parseJson(requestSchema, bytes, { what, maxBytes: LIMITS.outgoingBytes });
  const files = Object.entries(models).map(([model, text]) => [model, Buffer.from(text, 'base64')] as const);
  return { role, publicKey, file: Buffer.from(file, 'base64'), models: Object.fromEntries(files) };
}

/** The request with the publisher's newest file: one that was let in before asks for other models, and has published since. */
export async function currentRequest(hub: PublisherHub, request: PublisherRequest): Promise<PublisherRequest> {
  const published = await hub.metadata(`${request.role}.json`);
  if (published === undefined || !isSignedBy(parseMetadata('targets', published, request.role), request.publicKey)) return request;
  return { ...request, file: published, models: {} };
}
