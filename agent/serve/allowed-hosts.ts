import { isIP } from 'node:net';
import { SkerryError } from '#shared/kernel/errors.js';

/**
 * Names under which clients may reach a listener that only this machine can. A web page whose name an attacker's DNS turns into a loopback
 * address ("DNS rebinding") counts as the same origin for its browser, so nothing but the name that it asks for tells it from local clients.
 */
export class AllowedHosts {
  readonly #names: ReadonlySet<string>;
  /** Passed last: a client names the same with every request. */
  #passed: string | undefined;

  private constructor(names: readonly string[]) {
    this.#names = new Set(['localhost', ...names.map((name) => name.toLowerCase())]);
  }

  /** Undefined where names tell nothing: others reach the listener as well, or credentials say who asks. `names`: besides localhost. */
  static of({ host, guarded, names }: { host: string; guarded: boolean; names: readonly string[] }): AllowedHosts | undefined {
    return guarded || !isLoopback(host) ? undefined : new AllowedHosts(names);
  }

  /** `authority`: host and port as the client named them; one that it named nowhere is no browser's. Gives `SERVE_HOST`, or undefined. */
  problem(authority: string | undefined): SkerryError | undefined {
    if (authority === undefined || authority === '' || authority === this.#passed) return undefined;
    const name = nameOf(authority);
    // A name cannot be turned into another address where it is an address.
    if (isIP(name) !== 0 || name.endsWith('.localhost') || this.#names.has(name)) {
      this.#passed = authority;
      return undefined;
    }
    return new SkerryError(
      'SERVE_HOST',
      `requests to ${JSON.stringify(authority.slice(0, 256))} are not answered here; --allowed-hosts allows names`,
    );
  }
}

function nameOf(authority: string): string {
  const [, literal, name = ''] = /^\[([^\]]*)\](?::\d*)?$|^(.*?)(?::\d*)?$/s.exec(authority) ?? [];
  return (literal ?? name).toLowerCase().replace(/\.$/, '');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
