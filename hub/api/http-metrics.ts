import type { MetricFamily } from '#shared/kernel/exposition.js';

/** Counts requests by declared route (never by path, whose variety is the caller's) and status. */
export class HttpMetrics {
  readonly #counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; requests: number; seconds: number }>();

  count(method: string, route: string, status: number, seconds: number): void {
    const key = `${method} ${route} ${status}`;
    const entry = this.#counts.get(key) ?? { labels: { method, route, status: String(status) }, requests: 0, seconds: 0 };
    entry.requests += 1;
    entry.seconds += seconds;
    this.#counts.set(key, entry);
  }

  families(): readonly MetricFamily[] {
    const entries = [...this.#counts.values()];
    return [
      {
        name: 'skerry_hub_http_request_duration_seconds',
        help: 'Requests to the REST API and the time they took.',
        type: 'summary',
        samples: entries.flatMap(({ labels, requests, seconds }) => [
          { labels, suffix: '_sum', value: seconds },
          { labels, suffix: '_count', value: requests },
        ]),
      },
    ];
  }
}
