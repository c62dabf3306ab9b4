import type { PredictionTarget } from '#agent/inference/contract.js';
import type { Clock, EpochMillis, Millis } from '#shared/kernel/clock.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { MetricsWindow, Telemetry } from '#shared/protocol/messages.js';
import type { HealthMonitor } from './health.js';
import type { MetricsRecorder, TakenWindow } from './recorder.js';
import type { WindowSeries } from './series.js';

/** A telemetry message but for its position, which the outbox gives it. */
export type TelemetryPayload = Omit<Telemetry, 'boot' | 'seq'>;

export interface ReporterOptions {
  readonly device: DeviceId;
  readonly recorder: MetricsRecorder;
  readonly health: HealthMonitor;
  /** The release of the agent that runs: every window says so, that what a device does can be told apart by it. */
  readonly agent: () => PredictionTarget;
  /** Stores a message durably (`outbox.append('telemetry', payload)`). */
  readonly append: (payload: TelemetryPayload) => Promise<unknown>;
  readonly clock: Clock;
  readonly window: Millis;
  readonly logger: Logger;
}

const MAX_WINDOWS = 256;
/** Leaves room for the envelope and for what CBOR adds to names. */
const MAX_WINDOW_BYTES = LIMITS.telemetryBytes - 8 * 1024;
const BYTES_PER_WINDOW = 512;

/**
 * Closes the metrics window at an interval and hands it to the outbox. INVARIANT: windows neither overlap nor leave a gap
 * in what they count; a message that could not be stored goes back into the open window.
 */
export class TelemetryReporter implements Service {
  readonly #options: ReporterOptions;
  #from: EpochMillis;
  #cancel: (() => void) | undefined;
  #closed = false;
  #flushing: Promise<void> = Promise.resolve();

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#from = options.clock.now();
  }

  start(): Promise<void> {
    this.#options.health.start();
    this.#from = this.#options.clock.now();
    this.#arm();
    return Promise.resolve();
  }

  /** Stores the last window, then stops. */
  async close(): Promise<void> {
    if (this.#closed) return this.#flushing;
    this.#closed = true;
    this.#cancel?.();
    await this.flush();
    this.#options.health.close();
  }

  /** Closes the window now; resolves once it is stored or given back. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  #arm(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.schedule(this.#options.window, () => {
      void this.flush().then(() => this.#arm());
    });
  }

  async #flush(): Promise<void> {
    const { recorder, health, clock, device, logger, append, agent } = this.#options;
    const figures = await health.read();
    health.restartLoopDelay();
    const from = this.#from;
    // No await between taking the window and setting its end: what comes next belongs to the next one. A clock set back
    // must not make a window that ends before it began.
    recorder.runs(agent());
    const taken = recorder.take();
    const to = Math.max(from, clock.now());
    this.#from = to;
    for (const { series, windows } of messages(taken)) {
      try {
        await append({ device, from, to, windows: [...windows], health: figures });
      } catch (cause) {
        const error = asSkerryError(cause);
        logger.warn({ code: error.code }, `telemetry is kept for the next window: ${error.message}`);
        recorder.giveBack(series);
        this.#from = Math.min(this.#from, from);
      }
    }
  }
}

/** Cuts a window into messages that fit. */
function messages(taken: TakenWindow): readonly { readonly series: readonly WindowSeries[]; readonly windows: readonly MetricsWindow[] }[] {
  const out: { series: WindowSeries[]; windows: MetricsWindow[] }[] = [{ series: [], windows: [] }];
  let bytes = 0;
  for (const series of taken) {
    const window = series.toWindow();
    const size = BYTES_PER_WINDOW + sketchBytes(window);
    let last = out.at(-1);
    if (last === undefined || last.windows.length >= MAX_WINDOWS || (last.windows.length > 0 && bytes + size > MAX_WINDOW_BYTES)) {
      last = { series: [], windows: [] };
      out.push(last);
      bytes = 0;
    }
    last.series.push(series);
    last.windows.push(window);
    bytes += size;
  }
  return out;
}

function sketchBytes({ queue, compute, total, shadow, outputs = {}, metrics = {} }: MetricsWindow): number {
  const named = [...Object.entries(outputs).map(([name, { values }]) => [name, values] as const), ...Object.entries(metrics)];
  const sketches = [queue, compute, total, ...(shadow === undefined ? [] : [shadow.maxError, shadow.cost])];
  return (
    sketches.reduce((sum, sketch) => sum + sketch.byteLength, 0) +
    named.reduce((sum, [name, sketch]) => sum + 32 + Buffer.byteLength(name) + sketch.byteLength, 0)
  );
}
