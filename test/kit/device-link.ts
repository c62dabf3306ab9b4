import { type LinkOptions, MqttLink } from '#agent/sync/link.js';
import { systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import type { DeviceId } from '#shared/protocol/device.js';

/** The link of the device `lab-1` of the fleet `test` to the broker at `url`, which is quick to come back; not started. */
export function deviceLink(url: string, options: Partial<LinkOptions> = {}): MqttLink {
  return new MqttLink({
    fleet: 'test',
    device: 'lab-1' as DeviceId,
    boot: { boot: 1, bootId: 'start-of-lab-1' },
    host: 'lab',
    broker: () => ({ urls: [url] }),
    keepalive: 30_000,
    clock: systemClock,
    logger: silentLogger,
    random: () => 0.5,
    backoff: { base: 20, max: 50 },
    ...options,
  });
}
