import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/kernel/clock.js';
import { type EpochMillis, type Millis, seconds } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { MetricFamily } from '#shared/kernel/exposition.js';
import type { Logger } from '#shared/kernel/logger.js';
import { formatBytes } from '#shared/terminal/format.js';
import type { Db } from './store/database.js';

/** The disk of the hub is full, nearly full, or has room again. */
export interface DiskAlert {
  readonly state: 'low' | 'full' | 'ok';
  readonly freeBytes: number;
  readonly at: EpochMillis;
  readonly reason: string;
}

interface DiskWatchDeps {
  /** Data folder. */
  readonly folder: string;
  readonly db: Db;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Must not throw and must not wait for the network. */
  readonly notify: (alert: DiskAlert) => void;
}

const MiB = 1024 * 1024;
/** Free space below which people are warned: this much, or a tenth of a smaller disk. */
const LOW_BYTES = 1024 * MiB;
const LOW_SHARE = 0.1;
/** A trial write is this large: what fits into it fits into the pages that a database has to spare. */
const TRIAL_BYTES = 256 * 1024;
/** One trial write serves all who ask within this time: `/readyz` needs no token. */
const TRIAL_EVERY: Millis = seconds(2);

/** Whether the hub can write, how much room it has, and who hears when that changes. */
export class DiskWatch {
  readonly #deps: DiskWatchDeps;
  #trial: { readonly at: Millis; readonly outcome: Promise<string | undefined> } | undefined;
  #state: DiskAlert['state'] = 'ok';

  constructor(deps: DiskWatchDeps) {
    this.#deps = deps;
  }

  /** Tries a write, to the database and to the folder; resolves to what is wrong, or to nothing. */
  whyNotWritable(): Promise<string | undefined> {
    const now = this.#deps.clock.monotonic();
    if (this.#trial === undefined || now - this.#trial.at >= TRIAL_EVERY) this.#trial = { at: now, outcome: this.#tryWrite() };
    return this.#trial.outcome;
  }

  async metrics(): Promise<readonly MetricFamily[]> {
    const [{ free, total }, reason] = await Promise.all([this.#room(), this.whyNotWritable()]);
    const gauge = (name: string, help: string, value: number): MetricFamily => ({ name, help, type: 'gauge', samples: [{ value }] });
    return [
      gauge('skerry_hub_disk_free_bytes', 'Free space of the disk with the data folder.', free),
      gauge('skerry_hub_disk_bytes', 'Size of the disk with the data folder.', total),
      gauge('skerry_hub_disk_writable', '1 while a trial write to database and data folder succeeds.', reason === undefined ? 1 : 0),
    ];
  }

  /** Tells people when the disk becomes full or nearly full, and once it has room again. */
  async look(): Promise<void> {
    const { clock, logger, notify } = this.#deps;
    const [{ free, total }, problem] = await Promise.all([this.#room(), this.whyNotWritable()]);
    const low = Math.min(LOW_BYTES, total * LOW_SHARE);
    // What is low stays low until there is clearly more: no alarm that comes and goes with each write.
    const isLow = free < (this.#state === 'ok' ? low : low * 1.25);
    const state = problem !== undefined ? 'full' : isLow ? 'low' : 'ok';
    if (state === this.#state) return;
    this.#state = state;
    const reason = problem ?? `${formatBytes(free)} of ${formatBytes(total)} are free on the disk of the hub`;
    const alert: DiskAlert = { state, freeBytes: free, at: clock.now(), reason };
    if (state === 'ok') logger.info({ ...alert }, reason);
    else logger.error({ ...alert }, reason);
    notify(alert);
  }

  async #room(): Promise<{ readonly free: number; readonly total: number }> {
    const { bavail, blocks, bsize } = await statfs(this.#deps.folder);
    return { free: bavail * bsize, total: blocks * bsize };
  }

  async #tryWrite(): Promise<string | undefined> {
    const { folder, db, clock } = this.#deps;
    const file = join(folder, 'trial.tmp');
    try {
      await writeFile(file, Buffer.alloc(TRIAL_BYTES), { mode: 0o600, flush: true });
      const row = { name: 'trial', value: JSON.stringify(clock.now()) };
      await db
        .insertInto('hub_notes')
        .values(row)
        .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
        .execute();
      return undefined;
    } catch (cause) {
      const error = asSkerryError(cause, 'IO_FAILED');
      return `nothing can be written (${error.code}): ${error.message}`;
    } finally {
      await rm(file, { force: true }).catch(() => undefined);
    }
  }
}
