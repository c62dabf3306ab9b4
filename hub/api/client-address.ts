import type { IncomingMessage } from 'node:http';
import proxyAddress from '@fastify/proxy-addr';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';

/** True for the address of a proxy whose `X-Forwarded-For` is believed; `hop` counts from the hub outwards. */
export type TrustedProxies = (address: string, hop: number) => boolean;

const NO_PROXIES: TrustedProxies = () => false;

/**
 * Trusted proxies from a setting: addresses and networks (`10.0.0.0/8`), or `loopback`, `linklocal`, `uniquelocal`, separated by commas.
 * Throws `CONFIG_INVALID`.
 */
export function trustedProxies(setting: string | undefined): TrustedProxies {
  if (setting === undefined) return NO_PROXIES;
  const entries = setting.split(',').map((entry) => entry.trim());
  try {
    return proxyAddress.compile(entries);
  } catch (cause) {
    throw new SkerryError('CONFIG_INVALID', `trusted-proxy "${setting}": ${asSkerryError(cause).message}`, { cause });
  }
}

/** Where a request came from: the peer, or what the trusted proxies between say of the client (`X-Forwarded-For`). */
export function clientAddress(request: IncomingMessage, trusted: TrustedProxies): string {
  return proxyAddress(request, trusted);
}
