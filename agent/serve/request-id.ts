import type { IncomingHttpHeaders } from 'node:http';
import { LIMITS } from '#shared/kernel/limits.js';

/** How a client names its request where the protocol's body has no place for it; what says nothing, or too much, names nothing. */
export function requestId(headers: IncomingHttpHeaders): string | undefined {
  const id = headers['x-request-id'];
  return typeof id === 'string' && id !== '' && id.length <= LIMITS.nameLength ? id : undefined;
}
