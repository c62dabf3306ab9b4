import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Telemetry } from '#shared/protocol/messages.js';

export type DeviceHealth = Telemetry['health'];

/** Milliseconds between probes of the event loop: often enough to see what blocks, seldom enough to cost nothing when idle. */
const LOOP_RESOLUTION_MS = 100;
const THERMAL_FOLDER = '/sys/class/thermal';

interface HealthParts {
  /** Bytes of the model cache on disk. */
  readonly diskUsed: () => Promise<number>;
  /** Bytes of memory of the agent's other processes. */
  readonly otherMemory?: () => Promise<number>;
}

/** Measures how the device and this process are doing. */
export class HealthMonitor {
  readonly #parts: HealthParts;
  readonly #loop: IntervalHistogram = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop.enable();
  }

  close(): void {
    this.#loop.disable();
  }

  /** Figures now; the event loop's delay is the 99th percentile since `restartLoopDelay`. */
  async read(): Promise<DeviceHealth> {
    const { user, system } = process.cpuUsage();
    const [diskUsedBytes, temperatureC, otherBytes] = await Promise.all([
      this.#parts.diskUsed().catch(() => 0),
      temperature(),
      this.#parts.otherMemory?.() ?? 0,
    ]);
    // The histogram holds whole intervals; what exceeds the resolution is delay.
    const loopDelay = this.#loop.count === 0 ? 0 : this.#loop.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    return {
      rssBytes: process.memoryUsage.rss() + otherBytes,
      cpuSeconds: (user + system) / 1e6,
      freeMemoryBytes: os.freemem(),
      diskUsedBytes: Math.max(0, Math.round(diskUsedBytes)),
      uptimeSeconds: process.uptime(),
      loopDelayP99Ms: Math.max(0, loopDelay),
      ...(temperatureC === undefined ? {} : { temperatureC }),
    };
  }

  /** Begins a new measurement of the event loop's delay. */
  restartLoopDelay(): void {
    this.#loop.reset();
  }
}

/** Highest temperature of the device's thermal zones, degrees Celsius; undefined where there is none. */
async function temperature(): Promise<number | undefined> {
  const zones = (await readdir(THERMAL_FOLDER).catch(() => [])).filter((name) => name.startsWith('thermal_zone'));
  const readings = await Promise.all(zones.map((zone) => readFile(`${THERMAL_FOLDER}/${zone}/temp`, 'utf8').catch(() => '')));
  const degrees = readings.filter((text) => /^-?\d{1,7}\s*$/.test(text)).map((text) => Number(text) / 1000);
  return degrees.length === 0 ? undefined : Math.max(...degrees);
}
