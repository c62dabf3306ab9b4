import type { Status } from '#shared/kernel/status.js';

/** What requests are counted as: which API they spoke, and what they asked. */
interface CountedRequest {
  readonly api: string;
  readonly call: string;
}

/** Requests of every API since the start, by how they ended. */
export class RequestCounts {
  /** There is one object for each route. */
  readonly #counts = new Map<CountedRequest, Map<Status | 'OK', number>>();

  answered(kind: CountedRequest, status: Status | 'OK'): void {
    let counts = this.#counts.get(kind);
    if (counts === undefined) this.#counts.set(kind, (counts = new Map()));
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }

  /** One row for each API, call and status. */
  totals(): readonly (CountedRequest & { readonly status: string; readonly count: number })[] {
    const rows = new Map<string, CountedRequest & { readonly status: string; readonly count: number }>();
    for (const [{ api, call }, counts] of this.#counts) {
      for (const [status, count] of counts) {
        const key = `${api}\n${call}\n${status}`;
        rows.set(key, { api, call, status, count: count + (rows.get(key)?.count ?? 0) });
      }
    }
    return [...rows.values()];
  }
}
