import { until } from '../kit/until.js';
import type { Device, InputOptions } from './device.js';

export interface LoadOptions {
  readonly model: string;
  /** Input of the request with this number. */
  readonly input: (number: number) => readonly number[];
  readonly as?: InputOptions;
  /** Pause between two requests. */
  readonly everyMs?: number;
}

export interface Answered {
  /** Answers that were given, and when the first one was, by version. */
  readonly byVersion: ReadonlyMap<number, { readonly count: number; readonly first: number }>;
  /** Requests that got no answer, by why: an error code, or `unreachable` for a device that was not there. */
  readonly failed: ReadonlyMap<string, number>;
}

/** An application beside the agent: one request after the other, until it is stopped. */
export class Load {
  readonly device: Device;
  readonly #options: LoadOptions;
  readonly #byVersion = new Map<number, { count: number; first: number }>();
  readonly #failed = new Map<string, number>();
  readonly #done: Promise<void>;
  #running = true;
  #sent = 0;

  constructor(device: Device, options: LoadOptions) {
    this.device = device;
    this.#options = options;
    this.#done = this.#run();
  }

  get answered(): Answered {
    return { byVersion: this.#byVersion, failed: this.#failed };
  }

  /** Answers a version gave so far. */
  by(version: number): number {
    return this.#byVersion.get(version)?.count ?? 0;
  }

  /** Ends after the request under way. */
  async stop(): Promise<Answered> {
    this.#running = false;
    await this.#done;
    return this.answered;
  }

  async #run(): Promise<void> {
    const { model, input, as = {}, everyMs = 10 } = this.#options;
    while (this.#running) {
      const number = this.#sent++;
      try {
        const { status, version, code = `${status}` } = await this.device.predict(model, input(number), as);
        if (status === 200) this.#count(version);
        else this.#fail(code);
      } catch {
        this.#fail('unreachable');
      }
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  #count(version: number): void {
    const sums = this.#byVersion.get(version) ?? { count: 0, first: Date.now() };
    sums.count += 1;
    this.#byVersion.set(version, sums);
  }

  #fail(why: string): void {
    this.#failed.set(why, (this.#failed.get(why) ?? 0) + 1);
  }
}

/** A load on each of the devices; all are stopped with the test's `work`, whatever comes of it. */
export async function underLoad<T>(
  devices: readonly Device[],
  options: LoadOptions,
  work: (loads: readonly Load[]) => Promise<T>,
): Promise<T> {
  const loads = devices.map((device) => new Load(device, options));
  try {
    return await work(loads);
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }
}

/** Waits until each load had so many answers of a version. */
export async function answers(loads: readonly Load[], version: number, count: number): Promise<void> {
  for (const load of loads) {
    await until(`${load.device.name} to give ${count} answers with version ${version}`, () => load.by(version) >= count, {
      deadlineMs: 200_000,
    });
  }
}
