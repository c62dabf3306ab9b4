import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Path and query a request to upgrade asks for (RFC 9112, 3.2.1: origin form). Whatever else stands there is a path that nobody serves:
 * a thrown error in a listener of `upgrade` would end the process.
 */
export function upgradeTarget(request: Pick<IncomingMessage, 'url'>): { readonly path: string; readonly query: URLSearchParams } {
  const target = request.url ?? '';
  const mark = target.indexOf('?');
  const [path, query] = mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
  return { path, query: new URLSearchParams(query) };
}

/** Answers a request to upgrade with an HTTP response and is done with the connection, whether or not the peer ends its half. */
export function refuseUpgrade(socket: Duplex, status: string, body?: { readonly type: string; readonly text: string }): void {
  const described = body === undefined ? [] : [`Content-Type: ${body.type}`, `Content-Length: ${Buffer.byteLength(body.text)}`];
  socket.once('finish', () => socket.destroy());
  socket.end([`HTTP/1.1 ${status}`, 'Connection: close', ...described, '', body?.text ?? ''].join('\r\n'));
}
