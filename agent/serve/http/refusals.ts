import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { foregroundClock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { Ends } from './body.js';
import { errorAnswer } from './json-answer.js';

/** Time a client is given to read a refusal and to close, while what it still sends is dropped. */
const LINGER: Millis = 1_000;

/**
 * Answers what the HTTP parser refuses, or a request that did not arrive in time: it never became a request, so the answer is
 * written on the bare socket. `last` is the newest request of the connection, perhaps still arriving or unanswered; its answer must not be written into.
 */
export function refuseUnreadable(cause: Error, socket: Duplex, last: Ends | undefined): void {
  const answeredEarly = last !== undefined && !last.request.complete && last.response.headersSent;
  if (!socket.writable || answeredEarly || errnoOf(cause) === 'ECONNRESET') {
    socket.destroy();
  } else if (last?.request.complete === true && !last.response.writableFinished) {
    // What cannot be read came behind a request that is still being answered.
    last.response.once('close', () => refuseOnSocket(socket, unreadable(cause)));
  } else {
    refuseOnSocket(socket, unreadable(cause));
  }
}

/** A CONNECT asks for a tunnel; Node hands over the bare socket. */
export function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  refuseOnSocket(socket, new SkerryError('SERVE_METHOD', 'CONNECT is not allowed: the local API is not a proxy'));
}

/** Writes the answer, ends our side, and ends the connection for good soon after: a client that goes on sending keeps nothing. */
function refuseOnSocket(socket: Duplex, error: SkerryError): void {
  const { status, headers, body } = errorAnswer(error);
  const text = body.join('');
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close', `content-length: ${Buffer.byteLength(text)}`];
  for (const [name, value] of Object.entries(headers)) head.push(`${name}: ${value}`);
  socket.on('error', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`);
  socket.resume();
  const cancelForce = foregroundClock.schedule(LINGER, () => socket.destroy());
  socket.once('close', cancelForce);
}

/** What the parser's errors are to the client; every other is `SERVE_HTTP` in the parser's words. */
const REFUSALS: ReadonlyMap<string, readonly [ErrorCode, string]> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', ['SERVE_TIMEOUT', 'the request did not arrive in time']],
  ['HPE_HEADER_OVERFLOW', ['SERVE_HEADERS_TOO_LARGE', 'the request line and the headers have more bytes than the accepted 16384']],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', ['INPUT_TOO_LARGE', 'the chunk extensions of the body have more bytes than are accepted']],
  ['HPE_PAUSED_H2_UPGRADE', ['SERVE_HTTP', 'the request is HTTP/2, and the local API speaks HTTP/1.1']],
]);

function unreadable(cause: Error): SkerryError {
  const [code, message] = REFUSALS.get(errnoOf(cause) ?? '') ?? ['SERVE_HTTP', cause.message];
  return new SkerryError(code, message);
}
