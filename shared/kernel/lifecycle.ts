import { SkerryError } from './errors.js';

/**
 * The one lifecycle vocabulary: `start` resolves when the component does its work ("ready"); `close` is idempotent,
 * waits for a `start` under way, and resolves when nothing of the component runs any more.
 */
export interface Service {
  start(): Promise<void>;
  close(): Promise<void>;
}

type Closable = Pick<Service, 'close'>;

interface Part {
  readonly start?: () => Promise<void> | void;
  readonly close: () => Promise<void> | void;
  /** It was open when it was added, or its start was tried. */
  isOpen: boolean;
}

/**
 * What something is made of, in the order in which it starts; it is closed in the reverse order. Parts that are held in parts keep
 * a place for what is made later and closed earlier or later than that.
 *
 * INVARIANTS: a part is closed if and only if it is open, and at most once; every close is tried, whatever another one throws; whoever
 * started or closed the parts sees the first error. A start that fails leaves no part open.
 */
export class Parts implements Service {
  readonly #parts: Part[] = [];
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #hasFailed = false;

  /** Opens parts one after the other. When that fails, those that are open are closed before the failure is thrown. */
  static async open<T>(build: (parts: Parts) => Promise<T>): Promise<T> {
    const parts = new Parts();
    try {
      return await build(parts);
    } catch (cause) {
      parts.#hasFailed = true;
      await parts.close().catch(() => undefined);
      throw cause;
    }
  }

  /** Takes over a part that is open. */
  holds<T extends Closable>(part: T): T {
    this.onClose(() => part.close());
    return part;
  }

  /** Something to do at this place of the closing order. */
  onClose(close: () => Promise<void> | void): void {
    this.#parts.push({ close, isOpen: true });
  }

  /** Something to do at this place of the starting order, for a part that is held at another place of the closing order. */
  onStart(start: () => Promise<void> | void): void {
    this.#parts.push({ start, close: () => undefined, isOpen: false });
  }

  /** Takes over services that `start` starts. */
  starts(...services: readonly Service[]): void {
    for (const service of services) this.#parts.push({ start: () => service.start(), close: () => service.close(), isOpen: false });
  }

  /** True once they failed to open or to start, also while they are closed for it. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Starts what was not started yet. Rejects with `CLOSED` once it is closing. */
  start(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new SkerryError('CLOSED', 'closed parts cannot be started again'));
    this.#starting ??= this.#startAll();
    return this.#starting;
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#starting?.catch(() => undefined);
      await this.#closeAll();
    })();
    return this.#closing;
  }

  async #startAll(): Promise<void> {
    try {
      for (const part of this.#parts) {
        if (part.start === undefined) continue;
        part.isOpen = true;
        await part.start();
      }
    } catch (cause) {
      this.#hasFailed = true;
      await this.#closeAll().catch(() => undefined);
      throw cause;
    }
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const part of this.#parts.toReversed()) {
      if (!part.isOpen) continue;
      part.isOpen = false;
      try {
        await part.close();
      } catch (cause) {
        failures.push(cause);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
