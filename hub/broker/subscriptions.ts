import type { Client } from 'aedes';

/** Filters one device may have: its own channels, trust and a blob for every download; each costs the broker memory. */
const MOST = 256;

/** How many filters each connection has asked for. */
export class Subscriptions {
  readonly #filters = new WeakMap<Client, Set<string>>();

  /** Counts a filter; false when it would be one too many. */
  add(client: Client, filter: string): boolean {
    const filters = this.#filters.get(client) ?? new Set();
    this.#filters.set(client, filters);
    if (filters.size >= MOST && !filters.has(filter)) return false;
    filters.add(filter);
    return true;
  }

  remove(client: Client, filters: readonly string[]): void {
    for (const filter of filters) this.#filters.get(client)?.delete(filter);
  }
}
