import type { Queryable } from '#hub/store/database.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { RolloutEvent } from '../decide/machine.js';
import type { Change } from '../ports.js';
import { SqlRolloutStore } from '../sql-store.js';

/** What the hub wrote down for a rollout, and has done nothing about yet. */
export type WrittenAct =
  | { readonly kind: 'decision'; readonly wave: number; readonly event: RolloutEvent }
  /** Wishes, with the new status of their devices. */
  | { readonly kind: 'wishes'; readonly wave: number };

/** Called after every such act; the product passes none, programs composed by tests pass one that ends their own process. */
export type ObserveWritten = (act: WrittenAct) => void;

/** The store of rollouts, seen by an observer. */
export class ObservedStore extends SqlRolloutStore {
  readonly #observe: ObserveWritten;

  constructor(observe: ObserveWritten, ...parts: ConstructorParameters<typeof SqlRolloutStore>) {
    super(...parts);
    this.#observe = observe;
  }

  override async commit(change: Change): Promise<readonly DeviceId[]> {
    const reached = await super.commit(change);
    this.#show(change);
    return reached;
  }

  override async replace<T>(ended: readonly Change[], write: (trx: Queryable) => Promise<T>): Promise<T> {
    const written = await super.replace(ended, write);
    for (const change of ended) this.#show(change);
    return written;
  }

  #show({ record, decision, wishes }: Change): void {
    if (decision !== undefined) this.#observe({ kind: 'decision', wave: decision.wave, event: decision.event });
    if (wishes.length > 0) this.#observe({ kind: 'wishes', wave: record.wave });
  }
}
