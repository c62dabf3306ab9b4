import type { Clock } from '#shared/kernel/clock.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { LinkPort } from './contract.js';

interface HeldSenderOptions {
  readonly fleet: string;
  readonly device: DeviceId;
  readonly link: LinkPort;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The desired state accepted last, base64 of its bytes. */
  readonly desired: () => string | undefined;
  /** Files of the accepted trust metadata by name. */
  readonly trust: () => Promise<ReadonlyMap<string, Uint8Array>>;
}

/** Between two tellings: what a hub lost it learns at once, and what it does not take it will not take a second later. */
const PAUSE: Millis = minutes(1);
/** Room for base64 and the names. */
const TRUST_BYTES = Math.floor((LIMITS.heldBytes * 3) / 4) - 16_384;

/**
 * Shows a hub what it lost: the hub offers less than this device accepted from it, so its data was put back to a backup. All of it is
 * signed, by the hub or by publishers, so the hub need not believe the device.
 */
export class HeldSender {
  readonly #options: HeldSenderOptions;
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(options: HeldSenderOptions) {
    this.#options = options;
  }

  /** Something older than what is held was offered. */
  hubIsBehind(): void {
    const { clock, link, logger } = this.#options;
    const now = clock.monotonic();
    if (link.status.kind !== 'online' || now - this.#sentAt < PAUSE) return;
    this.#sentAt = now;
    this.#send().catch((cause: unknown) => {
      logger.warn(
        { reason: asSkerryError(cause).message },
        'the newer state could not be sent to the hub; retrying when the hub offers the older one again',
      );
    });
  }

  async #send(): Promise<void> {
    const { fleet, device, link, logger, desired, trust } = this.#options;
    const topic = deviceTopic(fleet, device, 'held');
    const statement = desired();
    if (statement !== undefined) await link.publish(topic, encodeMessage('held', { device, desired: statement }));
    const files = fitting(await trust().catch(() => new Map<string, Uint8Array>()), TRUST_BYTES);
    if (files.length > 0) {
      const named = Object.fromEntries(files.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]));
      await link.publish(topic, encodeMessage('held', { device, trust: named }));
    }
    logger.info(
      { desired: statement !== undefined, trust: files.length },
      'the hub offers an older state than before; the newer one was sent to it',
    );
  }
}

/** As many files as fit, the smallest first: those that the hub signs itself are always among them. */
function fitting(files: ReadonlyMap<string, Uint8Array>, most: number): readonly (readonly [string, Uint8Array])[] {
  let bytes = 0;
  return [...files]
    .toSorted(([, a], [, b]) => a.byteLength - b.byteLength)
    .filter(([, content]) => {
      bytes += content.byteLength;
      return bytes <= most;
    });
}
