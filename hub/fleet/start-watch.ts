import { randomUUID } from 'node:crypto';
import type { BrokerPort } from '#hub/broker/link.js';
import type { Db } from '#hub/store/database.js';
import type { Clock } from '#shared/kernel/clock.js';
import { minutes } from '#shared/kernel/time.js';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import type { DeviceMarks } from './device-marks.js';
import { type DeviceStarts, isRefused, namesOf, readStarts, settleCopies } from './decide/device-starts.js';
import type { HeardStart } from './device-states.js';

interface StartWatchDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly link: BrokerPort;
  readonly fleet: string;
  readonly marks: DeviceMarks;
  readonly logger: Logger;
}

/** Acts on what the starts of devices mean: marks a device that was put back or copied, and tells the copy to stand down. */
export class StartWatch {
  readonly #deps: StartWatchDeps;

  constructor(deps: StartWatchDeps) {
    this.#deps = deps;
  }

  async heard(device: DeviceId, { birth, before, starts, verdict }: HeardStart): Promise<void> {
    const { marks } = this.#deps;
    if (verdict === 'started') await marks.clear(device, 'restored', `it started anew, start number ${birth.boot}`);
    if (verdict === 'restored') await marks.set(device, 'restored', restoredText(device, birth.boot, before?.current.boot ?? birth.boot));
    if (verdict === 'copied') {
      await marks.set(device, 'copied', copiedText(device, starts));
      await marks.clear(device, 'restored', 'it is not one device that was put back, but two');
    }
    if (verdict !== 'refused') return;
    await marks.set(device, 'copied', copiedText(device, starts));
    this.#standDown(device, birth.bootId, copiedText(device, starts));
  }

  /**
   * Ends what was noticed of a device's starts. `keep` names the copy that stays from now on (a start, or the name of its machine);
   * without it whoever connects next is taken for the device. Throws `DEVICE_UNKNOWN`, `DEVICE_COPY_UNKNOWN`.
   */
  async settle(device: DeviceId, keep: string | undefined): Promise<void> {
    const { db, marks } = this.#deps;
    const settled = await db.transaction().execute(async (trx) => {
      const row = await trx.selectFrom('device_states').select('starts').where('device', '=', device).executeTakeFirst();
      if (row === undefined) throw new SkerryError('DEVICE_UNKNOWN', `there is no device ${device}`);
      const starts = readStarts(row.starts);
      if (starts === undefined) return undefined;
      const next = settleCopies(starts, keep === undefined ? undefined : copyNamed(device, starts, keep));
      await trx
        .updateTable('device_states')
        .set({ starts: JSON.stringify(next) })
        .where('device', '=', device)
        .execute();
      return next;
    });
    await marks.clear(device, 'restored', 'settled');
    if (settled?.copies === undefined) await marks.clear(device, 'copied', 'settled');
    else await marks.set(device, 'copied', copiedText(device, settled));
    const current = settled?.current.bootId;
    if (settled !== undefined && current !== undefined && isRefused(settled, { bootId: current }))
      this.#standDown(device, current, copiedText(device, settled));
  }

  #standDown(device: DeviceId, bootId: string, message: string): void {
    const { link, fleet, clock, logger } = this.#deps;
    const expires = new Date(clock.now() + minutes(5)).toISOString();
    const error = { code: 'DEVICE_COPIED', message: message.slice(0, 1024) };
    const bytes = encodeMessage('cmd', { device, id: randomUUID(), expires, kind: 'stand-down', bootId, error });
    link.publish(deviceTopic(fleet, device, 'cmd'), bytes).catch((cause: unknown) => {
      logger.debug(
        { device, cause: asSkerryError(cause).message },
        'a copy of a device could not be told to disconnect; retrying when it returns',
      );
    });
  }
}

function copyNamed(device: DeviceId, { copies }: DeviceStarts, name: string): string {
  const all = copies === undefined ? [] : [copies.kept, ...copies.refused];
  const found = all.filter((copy) => copy.host === name || namesOf(copy).some((start) => start.startsWith(name)));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only.bootId;
  throw new SkerryError('DEVICE_COPY_UNKNOWN', `${found.length === 0 ? 'no copy' : 'more than one copy'} of ${device} is called "${name}"`);
}

function restoredText(device: DeviceId, boot: number, before: number): string {
  return (
    `it began again from an older state (start number ${boot}, after ${before}): it was put back to an earlier image, or a copy of it is ` +
    `switched on. What it reports counts. "skerry device settle ${device}" takes this mark away`
  );
}

function copiedText(device: DeviceId, { copies }: DeviceStarts): string {
  if (copies === undefined) return '';
  const name = ({ bootId, host }: { readonly bootId: string; readonly host: string }): string =>
    `${host === '' ? '' : `${host}, `}start ${bootId.slice(0, 8)}`;
  return (
    `${copies.refused.length + 1} devices answer as ${device}: (${name(copies.kept)}) was there first and is kept; ` +
    `${copies.refused.map((copy) => `(${name(copy)})`).join(' and ')} may not connect and goes on predicting. ` +
    `Give the copy a name of its own with "skerry-agent enroll --force --new-key", then run "skerry device settle ${device}". ` +
    `What it measured and did not deliver is dropped then, unless "--keep" lets it in under the old name before`
  );
}
