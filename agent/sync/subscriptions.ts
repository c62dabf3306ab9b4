import type { MessageHandler } from './contract.js';

/** Which handlers listen to which filters; filters are topics, or end in `/+`. */
export class Subscriptions {
  readonly #handlers = new Map<string, Set<MessageHandler>>();

  filters(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  /** True when the filter is new. */
  add(filter: string, handler: MessageHandler): boolean {
    const known = this.#handlers.get(filter);
    if (known !== undefined) {
      known.add(handler);
      return false;
    }
    this.#handlers.set(filter, new Set([handler]));
    return true;
  }

  /** True when nobody listens to the filter any more. */
  remove(filter: string, handler: MessageHandler): boolean {
    const known = this.#handlers.get(filter);
    if (known === undefined || !known.delete(handler) || known.size > 0) return false;
    this.#handlers.delete(filter);
    return true;
  }

  /** Every handler whose filter the topic matches. */
  matching(topic: string): readonly MessageHandler[] {
    const last = topic.lastIndexOf('/');
    const wildcard = `${topic.slice(0, last)}/+`;
    return [...(this.#handlers.get(topic) ?? []), ...(this.#handlers.get(wildcard) ?? [])];
  }
}
