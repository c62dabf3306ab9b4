import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { type DeviceChannel, fleetFilter, parseTopic } from '#shared/protocol/topics.js';
import type { BrokerPort } from './link.js';

/** Takes a message of a device; `replayed`: the broker sent it from its memory. What it throws is logged, and the message is dropped. */
type DeviceMessageHandler = (device: DeviceId, payload: Uint8Array, replayed: boolean) => void;

/** What devices send to the hub, by channel and sender. A message whose topic is malformed goes no further. */
export class DeviceInbox {
  readonly #link: BrokerPort;
  readonly #fleet: string;
  readonly #logger: Logger;
  readonly #listeners: ((device: DeviceId, channel: DeviceChannel) => void)[] = [];

  constructor(link: BrokerPort, fleet: string, logger: Logger) {
    this.#link = link;
    this.#fleet = fleet;
    this.#logger = logger;
  }

  /** Is told of every message on a channel that somebody listens to, before its handler. */
  onHeard(listener: (device: DeviceId, channel: DeviceChannel) => void): void {
    this.#listeners.push(listener);
  }

  /** Hands every message on a channel to `handle`; to be called before the link starts. */
  on(channel: DeviceChannel, handle: DeviceMessageHandler): void {
    this.#link.subscribe(fleetFilter(this.#fleet, channel), (topic, payload, replayed) => {
      // A retained message that was cleared has nothing to say.
      if (payload.byteLength === 0) return;
      const device = senderOf(topic);
      if (device === undefined) {
        this.#logger.warn({ topic: topic.slice(0, 256) }, 'message on a topic with a wrong shard or device id');
        return;
      }
      for (const listener of this.#listeners) listener(device, channel);
      try {
        handle(device, payload, replayed);
      } catch (cause) {
        const error = asSkerryError(cause, 'PROTOCOL_MESSAGE_INVALID');
        this.#logger.warn({ device, channel, code: error.code, cause: error.message }, 'message ignored');
      }
    });
  }
}

function senderOf(topic: string): DeviceId | undefined {
  const parsed = parseTopic(topic);
  return parsed?.kind === 'device' ? deviceIdSchema.safeParse(parsed.device).data : undefined;
}
