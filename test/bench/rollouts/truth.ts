import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import { hours, minutes } from '#shared/kernel/time.js';

/** What is really so in a simulated fleet; the controller never sees it. */
export interface Truth {
  readonly devices: number;
  /** Mean failures per prediction on the old version; each device has its own, a gamma with this shape around it. */
  readonly errorRate: number;
  readonly errorShape: number;
  /** Predictions per device and window at the mean of the day; each device has its own. */
  readonly traffic: number;
  /** Swing of traffic and of errors over the day, 0 to 1. */
  readonly rhythm: number;
  /** Share of requests in the heavy tail of the latency (Pareto, exponent 1.5). */
  readonly tail: number;
  /** Spread of a device's latency from window to window. */
  readonly jitter: number;
  /** Devices that never answer. */
  readonly silent: number;
  /** Devices that, whatever version they run, break for a while (half their predictions fail), per window. */
  readonly breaking: number;
  /** What the new version does: errors and latency times these, on this share of the devices, from this long after it runs. */
  readonly errors: number;
  readonly latency: number;
  readonly affected: number;
  readonly onset: Millis;
}

export const WINDOW: Millis = minutes(10);
export const DAY: Millis = hours(24);

/** Rollouts begin at any time of the day; few of them are spread over the whole day too (53 and the 144 windows share no factor). */
export function beginOf(seed: number): EpochMillis {
  return Date.UTC(2026, 0, 5) + ((seed * 53) % (DAY / WINDOW)) * WINDOW;
}

/** A fleet as unpleasant as real ones, and a version as good as the old one. */
export const GOOD: Truth = {
  devices: 1000,
  errorRate: 0.01,
  errorShape: 3,
  traffic: 50,
  rhythm: 0.7,
  tail: 0.02,
  jitter: 0.1,
  silent: 0.02,
  breaking: 0.0001,
  errors: 1,
  latency: 1,
  affected: 1,
  onset: 0,
};
