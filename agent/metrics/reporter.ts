import { encode } from 'cborg';
import type { PredictionTarget } from '#agent/inference/contract.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { MetricsWindow, Telemetry } from '#shared/protocol/messages.js';
import type { MeasuredTime } from '#shared/trust/decide/trusted-time.js';
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
  /** What windows are dated with (shared/trust/decide/trusted-time.ts). */
  readonly time: () => MeasuredTime;
  readonly window: Millis;
  readonly logger: Logger;
}

/** A clock that moved by less than this against the monotonic one was not set. */
const STEADY: Millis = 60_000;
const MAX_WINDOWS = 256;
/** Leaves room for the envelope. */
const MAX_WINDOW_BYTES = LIMITS.telemetryBytes - 8 * 1024;

/**
 * Closes the metrics window at an interval and hands it to the outbox. INVARIANT: windows neither overlap nor leave a gap
 * in what they count; a message that could not be stored goes back into the open window.
 */
export class TelemetryReporter implements Service {
  readonly #options: ReporterOptions;
  /** When the open window began: as dated then, and by the monotonic clock. */
  #from: { readonly at: EpochMillis; readonly monotonic: Millis };
  #cancel: (() => void) | undefined;
  #closed = false;
  readonly #flushes = new ExclusiveQueue();

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#from = this.#now();
  }

  start(): Promise<void> {
    this.#options.health.start();
    this.#from = this.#now();
    this.#arm();
    return Promise.resolve();
  }

  /** Stores the last window, then stops. */
  async close(): Promise<void> {
    if (this.#closed) return this.#flushes.idle();
    this.#closed = true;
    this.#cancel?.();
    await this.#flushOrWarn();
    this.#options.health.close();
  }

  /** Closes the window now; resolves once it is stored or given back. */
  flush(): Promise<void> {
    return this.#flushes.run(() => this.#flush());
  }

  async #flushOrWarn(): Promise<void> {
    try {
      await this.flush();
    } catch (cause) {
      const { code, message } = asSkerryError(cause);
      this.#options.logger.warn(
        { code, reason: message },
        'a window of telemetry could not be closed; what it holds goes into the next one',
      );
    }
  }

  #now(): { readonly at: EpochMillis; readonly monotonic: Millis } {
    const { time, clock } = this.#options;
    return { at: Math.round(time().at), monotonic: clock.monotonic() };
  }

  #arm(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.schedule(this.#options.window, () => {
      // Whatever fails, the next window is closed in its turn.
      void this.#flushOrWarn().then(() => this.#arm());
    });
  }

  async #flush(): Promise<void> {
    const { recorder, health, time, device, logger, append, agent } = this.#options;
    const figures = await health.read();
    health.restartLoopDelay();
    const begun = this.#from;
    // No await between taking the window and setting its end: what comes next belongs to the next one. After the clock was set, or
    // the device heard what time it is, a window is as long as the monotonic clock says.
    recorder.runs(agent());
    const taken = recorder.take();
    const ended = this.#now();
    const { exact } = time();
    this.#from = ended;
    const to = ended.at;
    const length = Math.round(ended.monotonic - begun.monotonic);
    const from = Math.abs(to - begun.at - length) <= STEADY ? Math.min(begun.at, to) : to - length;
    for (const { series, windows } of messages(taken)) {
      try {
        await append({ device, from, to, ...(exact ? {} : { undated: true }), windows: [...windows], health: figures });
      } catch (cause) {
        const error = asSkerryError(cause);
        logger.warn({ code: error.code }, `telemetry could not be stored and is merged into the next window: ${error.message}`);
        recorder.giveBack(series);
        if (begun.monotonic < this.#from.monotonic) this.#from = begun;
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
    const size = encode(window).byteLength;
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
