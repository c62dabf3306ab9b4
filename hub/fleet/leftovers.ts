import type { BrokerPort } from '#hub/broker/link.js';
import type { Db } from '#hub/store/database.js';
import { asSkerryError, hasCode } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { type DeviceId, deviceIdSchema, type FleetId } from '#shared/protocol/device.js';
import { type DeviceChannel, deviceTopic, RETAINED_CHANNELS } from '#shared/protocol/topics.js';
import { inWindow } from './window.js';

interface LeftoversDeps {
  readonly db: Db;
  readonly link: BrokerPort;
  readonly fleet: FleetId;
  readonly logger: Logger;
}

/** Messages on their way at one time. */
const WINDOW = 64;

/**
 * What a broker still holds of devices that were removed: their retained messages. They are cleared when a device is removed, at every
 * connect (the broker may have been away then), and when one comes in after all, such as the will of the session that was cut.
 */
export class Leftovers {
  readonly #deps: LeftoversDeps;
  readonly #removed = new Set<DeviceId>();

  constructor(deps: LeftoversDeps) {
    this.#deps = deps;
    deps.link.onOnline(() => this.clearAll());
  }

  /** Clears everything retained for and by a device (MQTT 3.1.1, 3.3.1.3: an empty retained message). */
  async clear(device: DeviceId, channels: readonly DeviceChannel[] = RETAINED_CHANNELS): Promise<void> {
    this.#removed.add(device);
    const { link, fleet, logger } = this.#deps;
    try {
      for (const channel of channels) await link.publish(deviceTopic(fleet, device, channel), new Uint8Array(), { retain: true });
    } catch (cause) {
      if (!hasCode(cause, 'BROKER_OFFLINE')) throw cause;
      logger.debug({ device, cause: cause.message }, 'retained messages of a removed device will be cleared when the broker is back');
    }
  }

  /** The same for every device that does not belong to the fleet. */
  async clearAll(): Promise<void> {
    const rows = await this.#deps.db.selectFrom('devices').select('id').where('revoked_at', 'is not', null).execute();
    await inWindow(
      rows.map((row) => deviceIdSchema.parse(row.id)),
      WINDOW,
      (device) => this.clear(device),
    );
  }

  /** A message came in; one that is retained and of a removed device goes again. */
  heard(device: DeviceId, channel: DeviceChannel): void {
    if (!this.#removed.has(device) || !RETAINED_CHANNELS.includes(channel)) return;
    void this.#clearIfRemoved(device, channel).catch((cause: unknown) => {
      this.#deps.logger.error(
        { device, cause: asSkerryError(cause).message },
        'retained messages of a removed device could not be cleared',
      );
    });
  }

  async #clearIfRemoved(device: DeviceId, channel: DeviceChannel): Promise<void> {
    const row = await this.#deps.db.selectFrom('devices').select('revoked_at').where('id', '=', device).executeTakeFirst();
    if (row?.revoked_at === null) this.#removed.delete(device);
    else await this.clear(device, [channel]);
  }
}
