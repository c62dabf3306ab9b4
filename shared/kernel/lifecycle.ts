/**
 * The one lifecycle vocabulary: `start` resolves when the component does its work ("ready"); `close` is idempotent,
 * waits for a `start` under way, and resolves when nothing of the component runs any more.
 */
export interface Service {
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Runs services in order and closes them in reverse; a failing start closes what had started. */
export class ServiceGroup implements Service {
  readonly #services: readonly Service[];
  readonly #started: Service[] = [];
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(services: readonly Service[]) {
    this.#services = services;
  }

  start(): Promise<void> {
    this.#starting ??= this.#startAll();
    return this.#starting;
  }

  async #startAll(): Promise<void> {
    try {
      for (const service of this.#services) {
        this.#started.push(service);
        await service.start();
      }
    } catch (cause) {
      await this.#closeAll();
      throw cause;
    }
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#starting?.catch(() => undefined);
      await this.#closeAll();
    })();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const service of this.#started.splice(0).toReversed()) {
      await service.close().catch((cause: unknown) => failures.push(cause));
    }
    if (failures.length > 0) throw failures[0];
  }
}
