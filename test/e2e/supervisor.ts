import type { Device, StartOptions } from './device.js';

/** Starts a device's process again whenever it ends, as a service manager does. */
export class Supervisor {
  readonly device: Device;
  readonly #options: StartOptions;
  #done: Promise<void> = Promise.resolve();
  #stopping = false;
  /** How often the process ended unasked. */
  ends = 0;

  private constructor(device: Device, options: StartOptions) {
    this.device = device;
    this.#options = options;
  }

  /** Resolves once the device serves its local API. */
  static async start(device: Device, options: StartOptions): Promise<Supervisor> {
    const supervisor = new Supervisor(device, options);
    await device.start(options);
    supervisor.#done = supervisor.#watch();
    return supervisor;
  }

  /** Stops watching, and the device. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.device.stop();
    await this.#done;
  }

  async #watch(): Promise<void> {
    for (;;) {
      await this.device.process.exited;
      if (this.#stopping) return;
      this.ends += 1;
      // One that dies while it starts is started again like any other.
      await this.device.start(this.#options).catch(() => undefined);
    }
  }
}
