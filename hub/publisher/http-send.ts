import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';

export interface SendRequest {
  readonly url: URL;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes, or a stream of exactly `length` bytes, which is never held in memory. */
  readonly body?: Uint8Array | { readonly stream: Readable; readonly length: number };
  /** Silence on the connection after which it counts as dead. */
  readonly idle: Millis;
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

/**
 * Sends one HTTP request and reads the answer, at most LIMITS.apiBodyBytes of it. An answer that comes before the body is
 * sent (a refusal) ends the upload. `HUB_UNREACHABLE` when no answer comes, `HUB_ANSWER_MALFORMED` when it is too large.
 */
export function send(options: SendRequest): Promise<Answer> {
  const { url, body } = options;
  const length = body === undefined ? 0 : body instanceof Uint8Array ? body.byteLength : body.length;
  const requestOptions: RequestOptions = {
    method: options.method,
    headers: { ...options.headers, ...(body === undefined ? {} : { 'content-length': String(length) }) },
    timeout: options.idle,
  };
  return new Promise((resolve, reject) => {
    let answered = false;
    const unreachable = (cause: unknown): void => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (!answered) reject(new SkerryError('HUB_UNREACHABLE', `${url.origin} did not answer: ${reason}`, { cause }));
    };
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, requestOptions, (response) => {
      answered = true;
      readAnswer(response, url).then(resolve, reject);
    });
    request.on('timeout', () => request.destroy(new SkerryError('TIMEOUT', `no sign of life for ${options.idle / 1000} s`)));
    request.on('error', unreachable);
    if (body === undefined || body instanceof Uint8Array) request.end(body);
    else pipeline(body.stream, request).catch(unreachable);
  });
}

async function readAnswer(response: IncomingMessage, url: URL): Promise<Answer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Uint8Array>) {
      length += part.byteLength;
      if (length > LIMITS.apiBodyBytes) {
        throw new SkerryError('HUB_ANSWER_MALFORMED', `${url.href} answered more than ${LIMITS.apiBodyBytes} bytes`);
      }
      parts.push(part);
    }
  } catch (cause) {
    if (cause instanceof SkerryError) throw cause;
    throw new SkerryError('HUB_UNREACHABLE', `${url.origin} broke off its answer`, { cause });
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(parts) };
}
