import type { MetricFamily } from '#shared/kernel/exposition.js';

/** What a room contributes to `/metrics`, read at every scrape. Names start with `skerry_hub_`. */
export type MetricsProvider = () => Promise<readonly MetricFamily[]> | readonly MetricFamily[];
