import { request as httpRequest } from 'node:http';
import { type RequestOptions, request as httpsRequest } from 'node:https';
import type { Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

interface PostOptions {
  /** PEM of an authority to trust beside none other. */
  readonly ca?: string;
  readonly timeout: Millis;
  readonly maxBytes: number;
}

/**
 * Posts JSON and reads the whole answer. Through node:http, because `fetch` takes no certificate authority of its own.
 * Throws `TIMEOUT`, `INPUT_TOO_LARGE`, `CONFIG_INVALID` for another scheme, or the socket's error.
 */
export function postJson(url: URL, body: unknown, options: PostOptions): Promise<HttpAnswer> {
  const send = url.protocol === 'https:' ? httpsRequest : url.protocol === 'http:' ? httpRequest : undefined;
  if (send === undefined) return Promise.reject(new SkerryError('CONFIG_INVALID', `not an http or https URL: ${url.href}`));
  const bytes = Buffer.from(JSON.stringify(body));
  const settings: RequestOptions = {
    method: 'POST',
    agent: false,
    timeout: options.timeout,
    headers: { 'content-type': 'application/json', 'content-length': bytes.byteLength },
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  };
  return new Promise((resolve, reject) => {
    const request = send(url, settings, (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        length += part.byteLength;
        if (length > options.maxBytes)
          request.destroy(new SkerryError('INPUT_TOO_LARGE', `the answer has more than ${options.maxBytes} bytes`));
        else parts.push(part);
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      response.once('error', reject);
    });
    request.once('timeout', () => request.destroy(new SkerryError('TIMEOUT', `no answer within ${options.timeout} ms`)));
    request.once('error', reject);
    request.end(bytes);
  });
}
