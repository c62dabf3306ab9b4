import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Millis } from '#shared/kernel/time.js';
import { planIdle, planRoom, type Resident } from '../decide/memory-budget.js';

/** Who takes memory, and can give it back until a request needs it. */
export interface Tenant {
  readonly lastUsed: Millis;
  /** `idle`: its instances can end. `busy`: something is in it. `moving`: they are coming up, or are ending. */
  readonly use: 'idle' | 'busy' | 'moving';
  /** Asked of a busy one: resolves when it may be so no more; never rejects. */
  whenIdle(): Promise<void>;
  /** Ends its instances. What it was asked for is true at once: a request that comes now brings them back. */
  sleep(): Promise<void>;
}

interface KeeperDeps {
  /** Memory for all versions together, bytes; left out: no limit. */
  readonly budgetBytes?: number | undefined;
  /** Time without a request after which a version is unloaded; left out: never. */
  readonly idleUnload?: Millis | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Held extends Resident {
  readonly tenant: Tenant;
}

/**
 * Knows what the loaded versions take, and has the least recently used ones unloaded where a budget or idle time says so.
 * INVARIANTS: reservations are made one at a time, in the order they were asked for; nothing in use is unloaded; what is reserved never
 * exceeds the budget, unless it is one version alone.
 */
export class MemoryKeeper {
  readonly #deps: KeeperDeps;
  readonly #held = new Map<Tenant, number>();
  readonly #turns = new ExclusiveQueue();
  readonly #waiters = new Set<() => void>();
  #cancelLook: (() => void) | undefined;
  #closed = false;

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
  }

  get budgetBytes(): number | undefined {
    return this.#deps.budgetBytes;
  }

  /** What the loaded versions take, bytes. */
  get heldBytes(): number {
    return [...this.#held.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Takes so much memory for a version, after others were unloaded where that is needed. Waits while what is loaded is in use, until
   * `givenUp` aborts (`INFERENCE_MEMORY_BUDGET`).
   */
  async reserve(tenant: Tenant, bytes: number, givenUp: AbortSignal): Promise<void> {
    await this.#turns.run(async () => {
      const { budgetBytes } = this.#deps;
      if (budgetBytes !== undefined) await this.#makeRoom(tenant, bytes, budgetBytes, givenUp);
      this.#held.set(tenant, bytes);
    });
    this.#lookLater();
  }

  /**
   * What loading it really cost is known now. Where that is more than was thought, others make room that are not in use; rejects where
   * they are (`INFERENCE_MEMORY_BUDGET`).
   */
  async settle(tenant: Tenant, bytes: number): Promise<void> {
    if (!this.#held.has(tenant)) return;
    this.#held.set(tenant, bytes);
    this.#changed();
    const { budgetBytes } = this.#deps;
    if (budgetBytes === undefined || this.heldBytes <= budgetBytes) return;
    const plan = planRoom(this.#residents(tenant), bytes, budgetBytes);
    if (plan.kind === 'wait') throw noRoom(bytes, budgetBytes);
    await Promise.all(plan.unload.map((resident) => resident.tenant.sleep()));
  }

  /** It no longer takes memory. */
  release(tenant: Tenant): void {
    if (!this.#held.delete(tenant)) return;
    this.#changed();
  }

  close(): void {
    this.#closed = true;
    this.#cancelLook?.();
  }

  async #makeRoom(tenant: Tenant, bytes: number, budgetBytes: number, givenUp: AbortSignal): Promise<void> {
    for (;;) {
      if (givenUp.aborted) throw noRoom(bytes, budgetBytes);
      const plan = planRoom(this.#residents(tenant), bytes, budgetBytes);
      if (plan.kind === 'room') {
        await Promise.all(plan.unload.map((resident) => resident.tenant.sleep()));
        return;
      }
      await this.#anyChange(givenUp);
    }
  }

  #residents(but?: Tenant): readonly Held[] {
    return [...this.#held]
      .filter(([tenant]) => tenant !== but)
      .map(([tenant, bytes]) => ({ tenant, bytes, lastUsed: tenant.lastUsed, idle: tenant.use === 'idle' }));
  }

  /** Something was given back, became idle, or the caller gave up. */
  async #anyChange(givenUp: AbortSignal): Promise<void> {
    let wake: () => void = () => undefined;
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiters.add(wake);
    givenUp.addEventListener('abort', wake, { once: true });
    const idle = [...this.#held.keys()].filter(({ use }) => use === 'busy').map((tenant) => tenant.whenIdle());
    await Promise.race([changed, ...idle]);
    this.#waiters.delete(wake);
    givenUp.removeEventListener('abort', wake);
  }

  #changed(): void {
    for (const wake of this.#waiters) wake();
  }

  #lookLater(): void {
    const { idleUnload, clock } = this.#deps;
    if (idleUnload === undefined || this.#closed || this.#cancelLook !== undefined) return;
    const { lookAt } = planIdle(this.#residents(), idleUnload, clock.monotonic());
    if (lookAt === undefined) return;
    this.#cancelLook = clock.schedule(Math.max(0, lookAt - clock.monotonic()), () => {
      this.#cancelLook = undefined;
      const { unload } = planIdle(this.#residents(), idleUnload, clock.monotonic());
      for (const { tenant } of unload) void tenant.sleep();
      this.#lookLater();
    });
  }
}

function noRoom(bytes: number, budgetBytes: number): SkerryError {
  return new SkerryError(
    'INFERENCE_MEMORY_BUDGET',
    `there is no room for about ${bytes} bytes: what may be loaded, ${budgetBytes} bytes, is taken by models in use (--model-memory)`,
    { details: { bytes, budgetBytes } },
  );
}
