import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { parseJson } from '#shared/kernel/json.js';
import { publicKeySchema } from '#shared/trust/keys.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import { isSignedBy } from '#shared/trust/signatures.js';
import { roleNameSchema } from '#shared/trust/update.js';
import type { PublisherHub } from './hub-port.js';
import type { PublisherRequest } from './trust-sign.js';

const requestSchema = openObject({
  schema: z.literal('skerry.publisher-request/1'),
  role: roleNameSchema,
  publicKey: publicKeySchema,
  /** The role's first targets file, signed by that key. */
  file: z.base64().max(Math.ceil(LIMITS.trustFileBytes / 3) * 4),
});

/** The file a publisher sends to the root keeper to be let in; it holds nothing secret. */
export function encodePublisherRequest(request: PublisherRequest): Uint8Array {
  const file: z.infer<typeof requestSchema> = {
    schema: 'skerry.publisher-request/1',
    role: request.role,
    publicKey: request.publicKey,
    file: Buffer.from(request.file).toString('base64'),
  };
  return new TextEncoder().encode(`${JSON.stringify(file, undefined, 2)}\n`);
}

/** Reads such a file; `INPUT_SCHEMA`. */
export function decodePublisherRequest(bytes: Uint8Array, what: string): PublisherRequest {
  const { role, publicKey, file } = parseJson(requestSchema, bytes, { what, maxBytes: 2 * LIMITS.trustFileBytes });
  return { role, publicKey, file: Buffer.from(file, 'base64') };
}

/** The request with the publisher's newest file: one that was let in before asks for other models, and has published since. */
export async function currentRequest(hub: PublisherHub, request: PublisherRequest): Promise<PublisherRequest> {
  const published = await hub.metadata(`${request.role}.json`);
  if (published === undefined || !isSignedBy(parseMetadata('targets', published, request.role), request.publicKey)) return request;
  return { ...request, file: published };
}
