import type { MqttClient } from 'mqtt';
import { SkerryError } from '#shared/kernel/errors.js';
import type { MessageHandler } from './contract.js';

/** Which handlers listen to which filters; filters are topics, or end in `/+`. */
export class Subscriptions {
  readonly #handlers = new Map<string, Set<MessageHandler>>();

  filters(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  add(filter: string, handler: MessageHandler): void {
    const known = this.#handlers.get(filter);
    if (known === undefined) this.#handlers.set(filter, new Set([handler]));
    else known.add(handler);
  }

  remove(filter: string, handler: MessageHandler): void {
    const known = this.#handlers.get(filter);
    known?.delete(handler);
    if (known?.size === 0) this.#handlers.delete(filter);
  }

  /** Every handler whose filter the topic matches. */
  matching(topic: string): readonly MessageHandler[] {
    const wildcard = `${topic.slice(0, topic.lastIndexOf('/'))}/+`;
    return [...(this.#handlers.get(topic) ?? []), ...(this.#handlers.get(wildcard) ?? [])];
  }
}

/**
 * What one connection is subscribed to, made equal to what is wanted. One request at a time, each after the answer to the
 * one before: brokers handle packets that arrive together in any order, so an unsubscribe and a subscribe of the same
 * filter must never be on the way at once.
 * INVARIANT: at most one `#run` per connection; it looks at what is wanted again after every answer.
 */
export class SessionSubscriptions {
  readonly #client: MqttClient;
  readonly #wanted: Subscriptions;
  readonly #standing = new Set<string>();
  #running: Promise<void> | undefined;

  constructor(client: MqttClient, wanted: Subscriptions) {
    this.#client = client;
    this.#wanted = wanted;
  }

  /** Resolves when everything wanted stands; rejects when the connection breaks or with `SYNC_REFUSED`. */
  settle(): Promise<void> {
    // Begun in a later turn: a run that finds nothing to do would end before it is remembered.
    this.#running ??= Promise.resolve().then(() => this.#run());
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const wanted = this.#wanted.filters();
        const gone = [...this.#standing].filter((filter) => !wanted.includes(filter));
        const missing = wanted.filter((filter) => !this.#standing.has(filter));
        if (gone.length > 0) {
          for (const filter of gone) this.#standing.delete(filter);
          await this.#client.unsubscribeAsync(gone);
        } else if (missing.length > 0) {
          await this.#subscribe(missing);
        } else {
          return;
        }
      }
    } finally {
      // In the same turn as the last look: a wish made in between would be lost.
      this.#running = undefined;
    }
  }

  async #subscribe(filters: readonly string[]): Promise<void> {
    for (const filter of filters) this.#standing.add(filter);
    const granted = await this.#client.subscribeAsync([...filters], { qos: 1 });
    const refused = granted.find((grant) => grant.qos === 128); // MQTT 3.1.1, 3.9.3: failure
    if (refused !== undefined) throw new SkerryError('SYNC_REFUSED', `the broker refused the subscription ${refused.topic}`);
  }
}
