import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { CallFailure } from './call-failure.js';
import type { BinaryBody } from './oip-body.js';

/** The answer to a request, whatever its status. */
export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Uint8Array;
}

export interface HttpAsk {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: BinaryBody | undefined;
}

export interface HttpTarget {
  readonly request: (options: RequestOptions) => ClientRequest;
  /** Host and port, or the path of a socket. */
  readonly where: RequestOptions;
  readonly agent: Agent;
  readonly maxAnswerBytes: number;
}

/** Before a connection stands, these mean that there is none. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EACCES',
]);

/** Sends one request and reads the whole answer. Errors: a `CallFailure`. */
export function exchange(target: HttpTarget, ask: HttpAsk, signal: AbortSignal): Promise<HttpReply> {
  const { method, path, headers, body } = ask;
  const length = body === undefined ? {} : { 'content-length': body.byteLength };
  const request = target.request({ ...target.where, agent: target.agent, method, path, headers: { ...headers, ...length }, signal });
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    request.once('error', (cause) => reject(failureOf(cause, request, response !== undefined)));
    request.once('response', (incoming: IncomingMessage) => {
      response = incoming;
      readAll(incoming, target.maxAnswerBytes).then(
        (bytes) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, bytes }),
        (cause: unknown) => {
          request.destroy();
          reject(failureOf(cause, request, true));
        },
      );
    });
    // One write for small requests: the socket is corked until the end.
    request.cork();
    for (const part of body?.parts ?? []) request.write(part);
    request.end();
    request.uncork();
  });
}

async function readAll(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming.iterator({ destroyOnReturn: true })) {
    if (!Buffer.isBuffer(part)) continue;
    parts.push(part);
    length += part.byteLength;
    if (length > maxBytes) throw new SkerryError('CLIENT_ANSWER', `the answer has more than the accepted ${maxBytes} bytes`);
  }
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length);
}

function failureOf(cause: unknown, request: ClientRequest, answered: boolean): CallFailure {
  if (cause instanceof SkerryError) return new CallFailure(cause, 'final');
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = errnoOf(cause) ?? '';
  if (NOT_CONNECTED.has(code) && !request.reusedSocket && !answered) {
    return new CallFailure(new SkerryError('CLIENT_UNREACHABLE', `the server cannot be reached: ${message}`, { cause }), 'unsent');
  }
  const lost = new SkerryError('CLIENT_CONNECTION_LOST', `the connection to the server ended: ${message}`, { cause });
  return new CallFailure(lost, request.reusedSocket && !answered ? 'idle lost' : 'final');
}
