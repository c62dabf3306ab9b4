const PREFIX = 'whsec_';

/**
 * Key of a webhook from the text of its secret file: `whsec_` and base64, as the Standard Webhooks specification writes secrets and its
 * libraries expect them, or any other text as it is.
 */
export function webhookKey(text: string): Uint8Array {
  const secret = text.trim();
  return secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : new TextEncoder().encode(secret);
}
