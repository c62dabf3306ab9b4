import type { BrokerPort } from '#hub/broker/link.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { ExclusiveQueue } from '#shared/kernel/exclusive-queue.js';
import type { TrustIndex } from '#shared/protocol/messages.js';
import { trustTopic } from '#shared/protocol/topics.js';

/** What devices should see at `trust/+`: the files in the order to publish them, and the index over them. */
export interface TrustFiles {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly index: TrustIndex;
}

interface TrustPublisherDeps {
  readonly link: BrokerPort;
  readonly fleet: string;
  readonly logger: Logger;
  /** What is in force now; undefined before the first upload. */
  readonly current: () => TrustFiles | undefined;
}

/**
 * Keeps the TUF metadata retained at `trust/{file}`, and `trust/index` after it. A changed set is published when it changes,
 * all of it on every connect; files that fell out are cleared, so that a broker does not keep every snapshot ever made.
 */
export class TrustPublisher {
  readonly #deps: TrustPublisherDeps;
  /** What this connection's broker holds, by name. */
  #published = new Map<string, Uint8Array>();
  readonly #queue = new ExclusiveQueue();

  constructor(deps: TrustPublisherDeps) {
    this.#deps = deps;
    deps.link.onOnline(() => {
      this.#published = new Map();
      return this.publish();
    });
  }

  /** Publishes what is in force; resolves when the broker has it, or at once while there is no broker. */
  publish(): Promise<void> {
    return this.#queue.run(() => this.#publishNow());
  }

  async #publishNow(): Promise<void> {
    const current = this.#deps.current();
    if (current === undefined) return;
    const index = new TextEncoder().encode(JSON.stringify(current.index));
    try {
      for (const [name, bytes] of [...current.files, ['index', index] as const]) await this.#put(name, bytes);
      for (const name of this.#published.keys()) {
        if (name !== 'index' && !current.files.has(name)) await this.#clear(name);
      }
    } catch (cause) {
      const { logger } = this.#deps;
      if (hasCode(cause, 'BROKER_OFFLINE')) logger.debug({}, 'trust metadata waits for the broker');
      else logger.error({ cause: asSkerryError(cause).message }, 'trust metadata could not be published');
    }
  }

  async #put(name: string, bytes: Uint8Array): Promise<void> {
    const before = this.#published.get(name);
    if (before !== undefined && Buffer.compare(before, bytes) === 0) return;
    await this.#deps.link.publish(trustTopic(this.#deps.fleet, name), bytes, { retain: true });
    this.#published.set(name, bytes);
  }

  async #clear(name: string): Promise<void> {
    await this.#deps.link.publish(trustTopic(this.#deps.fleet, name), new Uint8Array(), { retain: true });
    this.#published.delete(name);
  }
}
