import type { Duplex } from 'node:stream';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { refuseUpgrade } from '#hub/kernel/upgrade.js';

const STATUS = { HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large', ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout' } as const;

/** Answers what Node's HTTP parser refused, before there is a request, as every other error is answered; ends the connection. */
export function refuseUnreadable(cause: Error, socket: Duplex): void {
  const errno = errnoOf(cause);
  if (!socket.writable || errno === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const late = errno === 'ERR_HTTP_REQUEST_TIMEOUT';
  const error = new SkerryError('API_BAD_REQUEST', late ? 'the request did not arrive in time' : cause.message, { cause });
  const status = errno === 'HPE_HEADER_OVERFLOW' || late ? STATUS[errno] : '400 Bad Request';
  refuseUpgrade(socket, status, { type: 'application/json', text: JSON.stringify(error.toBody()) });
}
