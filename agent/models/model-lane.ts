import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import { Holds } from './holds.js';
import { Lane } from './lane.js';
import type { Step } from './decide/step.js';

/** Steps of one model without its plan ever becoming empty, before that is taken for a loop and left alone for a while. */
const MAX_LAPS = 1_000;

/** What one model is being worked on with: its lane, what of it waits, and when it is looked at again. */
export class ModelLane {
  readonly lane: Lane;
  readonly holds = new Holds();
  /** The step under way. */
  current: Step | undefined;
  readonly #clock: Clock;
  #laps = 0;
  #cancelWake: () => void = () => undefined;

  /** `work` does one step and answers whether there was one; it must not reject. */
  constructor(clock: Clock, work: (lane: ModelLane, signal: AbortSignal) => Promise<boolean>) {
    this.#clock = clock;
    this.lane = new Lane((signal) => work(this, signal));
  }

  /** A new word from the hub ends the waits of the old one. */
  renew(): void {
    this.holds.clear();
    this.rest();
  }

  /** Ends every wait before a retry, and looks again. */
  retryNow(): void {
    this.holds.endWaits();
    this.lane.kick();
  }

  /** Counts a step; true once there were so many in a row that it looks like a loop. */
  lap(): boolean {
    this.#laps += 1;
    return this.#laps > MAX_LAPS;
  }

  /** The plan came to an end. */
  rest(): void {
    this.#laps = 0;
  }

  /** Looks again then, although nothing happened; in place of what was said before. */
  wakeAfter(delay: Millis): void {
    this.cancelWake();
    this.#cancelWake = this.#clock.schedule(Math.max(0, delay), () => this.lane.kick());
  }

  cancelWake(): void {
    this.#cancelWake();
  }

  async close(): Promise<void> {
    await this.lane.close();
    this.cancelWake();
  }
}
