import type { DeviceInbox } from '#hub/broker/device-inbox.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { Parts } from '#shared/kernel/lifecycle.js';
import { Ingest, type IngestDeps, INGEST_DEFAULTS } from './ingest.js';
import { MetricsQuery } from './metrics-query.js';
import { Retention, type RetentionSettings } from './retention.js';

interface TelemetryDeps extends IngestDeps {
  readonly inbox: DeviceInbox;
  readonly retention: RetentionSettings;
  /** False while the clock of the hub is not credible: by a clock that jumped everything would be old. */
  readonly mayDrop: () => boolean;
}

/** What devices measure and report: taken in, asked for, and dropped when it is old. */
export class Telemetry implements Service {
  readonly ingest: Ingest;
  readonly metrics: MetricsQuery;
  readonly #parts = new Parts();

  constructor(deps: TelemetryDeps) {
    const { db, clock, logger, inbox, retention, mayDrop } = deps;
    this.ingest = new Ingest(deps);
    this.metrics = new MetricsQuery(db, deps.settings?.widths ?? INGEST_DEFAULTS.widths);
    // Both are answered record by record, malformed ones too, so the ingest reads them itself.
    inbox.on('event', (device, payload) => void this.ingest.offer('event', device, payload));
    inbox.on('telemetry', (device, payload) => void this.ingest.offer('telemetry', device, payload));
    this.#parts.starts(this.ingest, new Retention(db, clock, logger, retention, mayDrop));
  }

  /** To be called before the link starts. */
  start(): Promise<void> {
    return this.#parts.start();
  }

  /** To be called after the link has closed: what has come in is stored. */
  close(): Promise<void> {
    return this.#parts.close();
  }
}
