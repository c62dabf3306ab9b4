import type { HubClock } from '#hub/clock/hub-clock.js';
import { type EpochMillis, hours, type Millis, parseTimestamp } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import type { Reported } from '#shared/protocol/messages.js';
import { formatDuration } from '#shared/terminal/format.js';
import type { DeviceMarks } from './device-marks.js';

/** A clock this far from the hub's is worth a mark: certificates and the device's own logs go wrong with it. */
const FAR: Millis = hours(1);

interface DeviceClocksDeps {
  readonly marks: Pick<DeviceMarks, 'set' | 'clear'>;
  readonly hubClock: Pick<HubClock, 'heard' | 'isCredible'>;
}

/** Compares the clocks of devices with the hub's: they vouch for it, or they are marked. */
export class DeviceClocks {
  readonly #deps: DeviceClocksDeps;

  constructor(deps: DeviceClocksDeps) {
    this.#deps = deps;
  }

  /** A live report came; one that the broker had kept says nothing of the time. */
  async heard(device: DeviceId, { at, clock }: Pick<Reported, 'at' | 'clock'>, received: EpochMillis): Promise<void> {
    const { marks, hubClock } = this.#deps;
    const says = parseTimestamp(at) ?? received;
    if (clock.trusted && clock.confirmed === true) hubClock.heard(device, says);
    // Who is wrong is not known while the hub may be.
    if (!hubClock.isCredible) return;
    const off = says - received;
    if (Math.abs(off) <= FAR && clock.trusted) return marks.clear(device, 'clock', 'its clock is right again');
    const where = Math.abs(off) <= FAR ? (clock.reason ?? 'it does not trust its clock') : `its clock is ${spell(off)} the hub's`;
    const effect =
      off > FAR
        ? 'it takes nothing new until its clock is set, since all of it looks expired'
        : 'it goes by the time the hub signs, and what it measures is dated by that';
    return marks.set(device, 'clock', `${where}: ${effect}. Set its clock; the mark goes with its next report`);
  }
}

function spell(off: Millis): string {
  return `${formatDuration(Math.abs(off))} ${off > 0 ? 'ahead of' : 'behind'}`;
}
