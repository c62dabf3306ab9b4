import { isIPv6 } from 'node:net';

/** An IPv4 address behind an IPv6 socket. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An address as logs show it. */
export function shownAddress(address: string): string {
  return MAPPED.exec(address)?.[1] ?? address;
}

/** What stands for one client in limits: of an IPv6 address its network of 64 bits, since a client may use every address of it. */
export function networkOf(address: string): string {
  const shown = shownAddress(address);
  if (!isIPv6(shown)) return shown;
  const [head = '', tail] = (shown.split('%')[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - behind.length);
  const whole = [...groups, ...Array.from({ length: zeros }, () => '0'), ...behind];
  return `${whole.slice(0, 4).join(':')}::/64`;
}

const LOOPBACK = /^(127\.|::1$|localhost$)/i;

/** True when only programs of this machine reach a listener on this host. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(shownAddress(host));
}
