/** State of the link to the hub; a discriminated union, never several booleans. */
export type LinkStatus =
  | { readonly kind: 'offline'; readonly since: number; readonly reason?: string; readonly nextAttemptAt?: number }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'online'; readonly since: number; readonly broker: string };

/**
 * Takes one message. Where it returns a promise, the next message is read from the socket only once that is settled:
 * a slow disk slows the broker, and nothing piles up in memory.
 */
export type MessageHandler = (topic: string, payload: Uint8Array, retained: boolean) => void | Promise<void>;

/** What the rest of `sync` needs of the MQTT session. */
export interface LinkPort {
  readonly status: LinkStatus;
  /** Called at every change of status. */
  onStatus(listener: (status: LinkStatus) => void): () => void;
  /** Resolves when the broker has taken the message (QoS 1); rejects with `SYNC_OFFLINE`. */
  publish(topic: string, payload: Uint8Array, options?: { readonly retain?: boolean }): Promise<void>;
  /** Calls `handler` for every message on `filter` (a topic, or one whose last level is `+`); stands over reconnects until closed. */
  subscribe(filter: string, handler: MessageHandler): Subscription;
}

export interface Subscription {
  /** Resolves once the broker delivers to it, or at once while there is no session (it then stands before `online` is said). Never rejects. */
  readonly ready: Promise<void>;
  close(): void;
}

export interface BrokerAddress {
  /** `mqtt:`, `mqtts:`, `ws:` or `wss:`; at least one. Tried in turn while none answers. */
  readonly urls: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM of the authority that signed the broker's certificate, when it is not one the system trusts. */
  readonly ca?: string | undefined;
}
