import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { type PublicKey, type SigningKey, tufKeyId, verifySignature } from './keys.js';

const MAX_SIGNATURES = 8;

/** Base64 in the one form an encoder makes: otherwise the same bytes would have several spellings. */
const canonicalBase64 = z.base64().refine((text) => Buffer.from(text, 'base64').toString('base64') === text, 'not canonical base64');

/** DSSE v1 envelope (secure-systems-lab/dsse, envelope.md), where fields that are not recognized are ignored and a key id is optional. */
export const envelopeSchema = z.object({
  payload: canonicalBase64,
  payloadType: z.string().min(1).max(256),
  signatures: z
    .array(z.object({ keyid: z.string().max(128).default(''), sig: canonicalBase64 }))
    .min(1)
    .max(MAX_SIGNATURES),
});
type Envelope = z.infer<typeof envelopeSchema>;

/** Pre-authentication encoding: what is signed covers type and payload without ambiguity (DSSE protocol.md, "PAE"). */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType, 'utf8');
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.byteLength} `), type, Buffer.from(` ${payload.byteLength} `), payload]);
}

/** Signs `payload` with every key; returns the envelope as JSON bytes. */
export function signEnvelope(payloadType: string, payload: Uint8Array, keys: readonly SigningKey[]): Uint8Array {
  const message = preAuthenticationEncoding(payloadType, payload);
  const envelope: Envelope = {
    payload: Buffer.from(payload).toString('base64'),
    payloadType,
    signatures: keys.map((key) => ({ keyid: key.keyId, sig: Buffer.from(key.sign(message)).toString('base64') })),
  };
  return new TextEncoder().encode(JSON.stringify(envelope));
}

interface VerifyEnvelopeOptions {
  readonly payloadType: string;
  /** One of these must have signed. */
  readonly keys: readonly PublicKey[];
  readonly maxBytes: number;
  /** What it is, for messages: "desired state". */
  readonly what: string;
}

/**
 * Reads an envelope and checks it: size, schema, payload type, signature. Returns the payload bytes.
 * Throws `INPUT_TOO_LARGE`, `TRUST_ENVELOPE_FORMAT`, `TRUST_ENVELOPE_TYPE` or `TRUST_ENVELOPE_SIGNATURE`.
 */
export function verifyEnvelope(bytes: Uint8Array, options: VerifyEnvelopeOptions): Uint8Array {
  const { what, maxBytes } = options;
  const envelope = parseJson(envelopeSchema, bytes, { what, maxBytes, code: 'TRUST_ENVELOPE_FORMAT' });
  if (envelope.payloadType !== options.payloadType) {
    throw new SkerryError('TRUST_ENVELOPE_TYPE', `${what} has payload type ${envelope.payloadType}, expected ${options.payloadType}`);
  }
  const payload = Buffer.from(envelope.payload, 'base64');
  const message = preAuthenticationEncoding(envelope.payloadType, payload);
  const trusted = new Map(options.keys.map((key) => [tufKeyId(key), key]));
  const signed = envelope.signatures.some(({ keyid, sig }) => {
    const key = trusted.get(keyid);
    return key !== undefined && verifySignature(key, message, Buffer.from(sig, 'base64'));
  });
  if (!signed) {
    throw new SkerryError('TRUST_ENVELOPE_SIGNATURE', `${what} is not signed by a trusted key`, {
      details: { keyids: envelope.signatures.map(({ keyid }) => keyid) },
    });
  }
  return payload;
}
