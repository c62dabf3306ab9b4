import { fullJitter } from '#shared/kernel/backoff.js';
import type { Clock } from '#shared/kernel/clock.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import type { Instance } from '../instances/instance.js';
import { InstancePool } from '../instances/pool.js';
import type { InferenceSettings } from '../settings.js';
import type { MemoryKeeper, Tenant } from './memory-keeper.js';

/** The waiting line of the servable. */
interface Line {
  readonly inFlight: number;
  idle(): Promise<void>;
  /** An instance may be free. */
  wake(): void;
  /** Fails what waits. */
  failAll(error: SkerryError): void;
}

interface ResidenceDeps {
  readonly what: string;
  readonly line: () => Line;
  readonly keeper: MemoryKeeper;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: Pick<InferenceSettings, 'instances' | 'restartLimit' | 'restartWindow'>;
  readonly logger: Logger;
  /** Its instances came up again, or were ended to save memory. */
  readonly onChange: () => void;
  /** An instance ended unasked. */
  readonly onEnded: (reason: SkerryError) => void;
  /** Workers ended more often than the limit allows, or its instances did not come up again. */
  readonly onFailed: (error: SkerryError) => void;
}

const AGAIN_BASE: Millis = 1_000;
const AGAIN_MAX: Millis = 60_000;

/**
 * The instances of a servable: awake, or ended until a request needs them. Requests wait in its line meanwhile, each as long as it allows.
 * INVARIANTS: at most one pool is alive at a time; one request wakes it, all others wait for the same; what wakes waits until what slept
 * has ended; what is in use does not fall asleep.
 */
export class Residence implements Tenant {
  readonly #deps: ResidenceDeps;
  #start: (() => Promise<Instance>) | undefined;
  #pool: InstancePool | undefined;
  #waking: Promise<void> | undefined;
  #ending: Promise<void> = Promise.resolve();
  #bytes = 0;
  #failures = 0;
  #againAt: Millis = Number.NEGATIVE_INFINITY;
  #closed = false;
  lastUsed: Millis;

  constructor(deps: ResidenceDeps) {
    this.#deps = deps;
    this.lastUsed = deps.clock.monotonic();
  }

  get asleep(): boolean {
    return this.#start !== undefined && this.#pool === undefined && !this.#closed;
  }

  get use(): Tenant['use'] {
    if (this.#pool === undefined || this.#waking !== undefined || this.#start === undefined || this.#closed) return 'moving';
    return this.#deps.line().inFlight === 0 ? 'idle' : 'busy';
  }

  get hasIdle(): boolean {
    return this.#pool?.hasIdle === true;
  }

  acquire(): Instance | undefined {
    return this.#pool?.acquire();
  }

  release(instance: Instance): void {
    this.#pool?.release(instance);
  }

  /** Takes memory for the first load. Errors: `INFERENCE_MEMORY_BUDGET` once `givenUp` aborts. */
  reserve(bytes: number, givenUp: AbortSignal): Promise<void> {
    this.#bytes = bytes;
    return this.#deps.keeper.reserve(this, bytes, givenUp);
  }

  /** Has as many instances as the settings say, the first of which is warm; resolves once all are there. `start` brings up one more. */
  async fill(first: Instance, start: () => Promise<Instance>): Promise<void> {
    this.#start = start;
    const { clock, random, settings, logger, onEnded, onFailed, line } = this.#deps;
    this.#pool = new InstancePool({ start, clock, random, settings, logger, onEnded, onFailed, onIdle: () => line().wake() }, first);
    // Its first instance became idle before anybody could take it from here.
    line().wake();
    await this.#pool.fill();
  }

  /** Memory that ending its instances gives back, bytes; `undefined` where that cannot be told. */
  ownBytes(): Promise<number | undefined> {
    return this.#pool?.ownBytes() ?? Promise.resolve(undefined);
  }

  /** What its load really cost. Errors: `INFERENCE_MEMORY_BUDGET`. */
  settle(bytes: number): Promise<void> {
    this.#bytes = bytes;
    return this.#deps.keeper.settle(this, bytes);
  }

  /** A request is about to wait in the line. Throws where its instances could not be brought back a moment ago. */
  touch(): void {
    const now = this.#deps.clock.monotonic();
    this.lastUsed = now;
    if (this.#pool !== undefined || this.#waking !== undefined || now >= this.#againAt) return;
    const retryAfter = Math.ceil((this.#againAt - now) / 1000);
    throw new SkerryError('INFERENCE_NOT_READY', `${this.#deps.what} could not be loaded again; ask again in ${retryAfter} s`, {
      details: { retryAfter },
    });
  }

  /** A request waits in the line. */
  wakeUnlessAwake(): void {
    if (this.#pool !== undefined || this.#waking !== undefined || this.#closed) return;
    this.#waking = this.#wake()
      .catch((cause: unknown) => this.#wakeFailed(asSkerryError(cause)))
      .finally(() => {
        this.#waking = undefined;
        // Asked for after those had given up whom it was waking for.
        if (this.#pool === undefined && this.#deps.line().inFlight > 0) this.wakeUnlessAwake();
      });
  }

  whenIdle(): Promise<void> {
    return this.#deps.line().idle();
  }

  async sleep(): Promise<void> {
    if (this.use !== 'idle') return this.#ending;
    const ending = this.#end();
    this.#deps.onChange();
    await ending;
    this.#deps.keeper.release(this);
  }

  /** Ends everything, also what is just coming up. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#waking;
    await this.#end();
    this.#deps.keeper.release(this);
  }

  #end(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool !== undefined) this.#ending = Promise.all([this.#ending, pool.close()]).then(() => undefined);
    return this.#ending;
  }

  async #wake(): Promise<void> {
    const start = this.#start;
    if (start === undefined) return;
    const { line, keeper, logger, onChange } = this.#deps;
    const nobodyWaits = new AbortController();
    void line()
      .idle()
      .then(() => nobodyWaits.abort());
    await this.#ending;
    await keeper.reserve(this, this.#bytes, nobodyWaits.signal);
    const first = await start();
    if (this.#closed) return first.close();
    await this.fill(first, start);
    this.#failures = 0;
    // It took more than last time, and others are in use: what waits here is answered first.
    await this.settle((await this.ownBytes()) ?? this.#bytes).catch((cause: unknown) =>
      logger.warn({ code: asSkerryError(cause).code }, asSkerryError(cause).message),
    );
    logger.debug({ bytes: this.#bytes }, 'loaded again for a request');
    onChange();
  }

  async #wakeFailed(error: SkerryError): Promise<void> {
    const { keeper, logger, line, clock, random, settings, what, onFailed } = this.#deps;
    await this.#end();
    keeper.release(this);
    // Whom it was to be loaded for has given up.
    if (error.code === 'INFERENCE_MEMORY_BUDGET' || this.#closed) return;
    this.#failures += 1;
    this.#againAt = clock.monotonic() + fullJitter(this.#failures - 1, { base: AGAIN_BASE, max: AGAIN_MAX, random });
    logger.warn({ code: error.code, failures: this.#failures }, `it could not be loaded again: ${error.message}`);
    if (this.#failures >= settings.restartLimit) return onFailed(error);
    line().failAll(new SkerryError('INFERENCE_NOT_READY', `${what} could not be loaded again: ${error.message}`, { cause: error }));
  }
}
