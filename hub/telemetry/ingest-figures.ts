import type { Millis } from '#shared/kernel/time.js';
import type { MetricFamily } from '#shared/kernel/exposition.js';
import type { RecordKind } from './record.js';

/** What became of the records devices sent, since the start of the hub. */
export class IngestFigures {
  readonly #stored: Record<RecordKind, number> = { telemetry: 0, event: 0 };
  readonly #refused = new Map<string, number>();
  #duplicates = 0;
  #unreadable = 0;
  #foreign = 0;
  #shed = 0;
  #leftOut = 0;
  #failedBatches = 0;
  #lag = { sum: 0, count: 0 };

  stored(kind: RecordKind, lag: Millis): void {
    this.#stored[kind] += 1;
    this.#lag = { sum: this.#lag.sum + lag, count: this.#lag.count + 1 };
  }

  /** `code` is one of the project's own, so there are not many. */
  refused(code: string): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }

  duplicate(): void {
    this.#duplicates += 1;
  }

  unreadable(): void {
    this.#unreadable += 1;
  }

  foreign(): void {
    this.#foreign += 1;
  }

  leftOut(versions: number): void {
    this.#leftOut += versions;
  }

  shed(): void {
    this.#shed += 1;
  }

  failedBatch(): void {
    this.#failedBatches += 1;
  }

  /** Plain numbers, for tests and the API. */
  get snapshot() {
    return {
      stored: { ...this.#stored },
      duplicates: this.#duplicates,
      refused: Object.fromEntries(this.#refused),
      unreadable: this.#unreadable,
      foreign: this.#foreign,
      shed: this.#shed,
      leftOut: this.#leftOut,
      failedBatches: this.#failedBatches,
    };
  }

  families(queued: { readonly records: number; readonly bytes: number }): MetricFamily[] {
    const counter = (name: string, help: string, value: number): MetricFamily => ({ name, help, type: 'counter', samples: [{ value }] });
    const gauge = (name: string, help: string, value: number): MetricFamily => ({ name, help, type: 'gauge', samples: [{ value }] });
    return [
      {
        name: 'skerry_hub_ingest_records_total',
        help: 'Outbox records stored, by kind.',
        type: 'counter',
        samples: Object.entries(this.#stored).map(([kind, value]) => ({ labels: { kind }, value })),
      },
      {
        name: 'skerry_hub_ingest_refused_total',
        help: 'Outbox records refused, by error code. Devices do not send them again.',
        type: 'counter',
        samples: [...this.#refused].map(([code, value]) => ({ labels: { code }, value })),
      },
      counter('skerry_hub_ingest_duplicates_total', 'Outbox records received again and ignored.', this.#duplicates),
      counter('skerry_hub_ingest_unreadable_total', 'Messages that could not be decoded.', this.#unreadable),
      counter('skerry_hub_ingest_foreign_total', 'Records of devices that do not belong to the fleet.', this.#foreign),
      counter('skerry_hub_ingest_shed_total', 'Records not acknowledged because the queue was full. Devices send them again.', this.#shed),
      counter(
        'skerry_hub_ingest_left_out_total',
        'Reported versions not counted, because too many unpublished versions are reported.',
        this.#leftOut,
      ),
      counter('skerry_hub_ingest_failed_batches_total', 'Transactions that failed.', this.#failedBatches),
      gauge('skerry_hub_ingest_queue_records', 'Records pending to be stored.', queued.records),
      gauge('skerry_hub_ingest_queue_bytes', 'Size of the records pending to be stored.', queued.bytes),
      {
        name: 'skerry_hub_ingest_lag_seconds',
        help: 'Time from the arrival of a record to its commit.',
        type: 'summary',
        samples: [
          { suffix: '_sum', value: this.#lag.sum / 1_000 },
          { suffix: '_count', value: this.#lag.count },
        ],
      },
    ];
  }
}
