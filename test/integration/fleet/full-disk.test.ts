import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DiskAlert, DiskWatch } from '#hub/disk-watch.js';
import { systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { presenceOf, reportedOf } from '../../kit/messages.js';
import { SmallDisk } from '../../kit/small-disk.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const disk = SmallDisk.mount(24);

describe.skipIf(disk === undefined)(
  `20 H: a full disk of the hub${disk === undefined ? ' (skipped: it needs root, to mount a small disk)' : ''}`,
  () => {
    let hub: FleetHub;
    let device: TestDevice;
    const small = disk!;

    beforeAll(async () => {
      hub = await FleetHub.start({ folder: small.folder });
      await hub.addVersion('vad', 1, { bytes: new Uint8Array(1_000).fill(7), chunk: 400 });
      device = await hub.device('cam-1');
    });
    afterAll(async () => {
      device.client.end(true);
      await hub.stop();
      small.unmount();
    });

    const say = async (channel: 'presence' | 'reported', bytes: Uint8Array): Promise<void> => {
      await device.say(deviceTopic(FLEET, device.id, channel), bytes, true);
    };
    /** More than a database has pages to spare for. */
    const large = (rest: object): Uint8Array =>
      encodeMessage('reported', { ...reportedOf('cam-1', rest), padding: 'x'.repeat(200_000) } as never);
    const full = async (): Promise<void> => {
      await small.fill();
      // The write-ahead log has room of its own: until it is used up, writing goes on.
      await until('nothing fits any more', async () => {
        const row = { name: 'filler', value: JSON.stringify('y'.repeat(400_000)) };
        return hub.db
          .insertInto('hub_notes')
          .values({ ...row, name: `filler ${Math.random()}` })
          .execute()
          .then(
            () => false,
            () => true,
          );
      });
    };

    it('loses no presence and no report, nor what follows from it: they are stored when there is room', async () => {
      await hub.fleet.deployments.create({ model: 'vad', version: 1, selector: 'site=field', retry: false, createdBy: 't' });
      await say('presence', encodeMessage('presence', presenceOf('cam-1')));
      await until('online', async () => (await hub.fleet.devices.get('cam-1')).presence.state === 'online');
      await full();
      await say('reported', large({ boot: 2, labels: { site: 'field' } }));
      await say('presence', encodeMessage('presence', presenceOf('cam-1', { state: 'offline' })));
      // Time for several attempts; what is kept is not multiplied by them.
      await hub.fleet.states.flush();
      await hub.fleet.states.flush();
      expect(await hub.fleet.devices.get('cam-1')).toMatchObject({ presence: { state: 'online' }, reported: null });
      await small.empty();
      await until('stored', async () => (await hub.fleet.devices.get('cam-1')).reported?.boot === 2);
      expect(await hub.fleet.devices.get('cam-1')).toMatchObject({ presence: { state: 'offline' } });
      await until('told what its labels lead to', async () => {
        const detail = await hub.fleet.devices.get('cam-1');
        return detail.labels['site'] === 'field' && detail.desired.counter === 1;
      });
    });

    it('is seen by a trial write, told once, and over once there is room', async () => {
      const alerts: DiskAlert[] = [];
      const clock = new VirtualClock();
      const watch = new DiskWatch({
        folder: small.folder,
        db: hub.db,
        clock,
        logger: silentLogger,
        notify: (alert) => void alerts.push(alert),
      });
      const look = async (): Promise<string | undefined> => {
        await clock.advance(2_000);
        await watch.look();
        return watch.whyNotWritable();
      };
      expect(await look()).toBeUndefined();
      await full();
      expect(await look()).toContain('DISK_FULL');
      expect(await look()).toContain('nothing can be written');
      const value = async (name: string): Promise<number | undefined> =>
        (await watch.metrics()).find((family) => family.name === name)?.samples[0]?.value;
      expect([await value('skerry_hub_disk_writable'), await value('skerry_hub_disk_free_bytes')]).toEqual([0, 0]);
      // Little room is told as well, and does not come and go.
      await small.fill(1_000_000);
      expect(await look()).toBeUndefined();
      await small.empty();
      expect(await look()).toBeUndefined();
      expect(alerts.map(({ state }) => state)).toEqual(['full', 'low', 'ok']);
      expect(await value('skerry_hub_disk_writable')).toBe(1);
    });
  },
);

it('20 H: a second who asks within two seconds costs no further write', async () => {
  const hub = await FleetHub.start();
  try {
    const watch = new DiskWatch({ folder: hub.folder, db: hub.db, clock: systemClock, logger: silentLogger, notify: () => undefined });
    expect(watch.whyNotWritable()).toBe(watch.whyNotWritable());
    expect(await watch.whyNotWritable()).toBeUndefined();
  } finally {
    await hub.close();
  }
});
