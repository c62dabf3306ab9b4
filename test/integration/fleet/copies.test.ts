import { afterEach, describe, expect, it } from 'vitest';
import { MqttLink } from '#agent/sync/link.js';
import { listenToCommands } from '#agent/sync/commands.js';
import type { SignedClock } from '#agent/sync/signed-clock.js';
import { listEvents } from '#hub/telemetry/events-query.js';
import { systemClock } from '#shared/kernel/clock.js';
import { fromErrorBody } from '#shared/kernel/errors.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage, encodeMessage } from '#shared/protocol/codec.js';
import type { EnrollResponse } from '#shared/protocol/enrolment.js';
import type { Ack } from '#shared/protocol/messages.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { enrolRequest, FLEET, FleetHub } from '../../kit/fleet-hub.js';
import { reportedOf, telemetryOf } from '../../kit/messages.js';
import { until } from '../../kit/until.js';

let hub: FleetHub;
const machines: MqttLink[] = [];
afterEach(async () => {
  for (const machine of machines.splice(0)) await machine.close();
  await hub.close();
});

const enrol = async (name: string): Promise<EnrollResponse> =>
  hub.fleet.enrolment.enroll(enrolRequest({ token: await hub.token(), device: name }), '127.0.0.1');

/** Told so, or not let in. */
const COPY = /2 devices answer|another device answers/;

interface Start {
  readonly boot: number;
  readonly bootId: string;
  readonly afterBootId?: string;
}

/** The link of a real agent, as a machine that starts with this data folder has it; does what it is told. */
async function switchOn({ device, mqtt }: EnrollResponse, host: string, boot: Start): Promise<MqttLink> {
  const link = new MqttLink({
    fleet: FLEET,
    device,
    boot,
    host,
    broker: () => ({ ...mqtt, urls: [mqtt.url] }),
    keepalive: 30_000,
    clock: systemClock,
    logger: silentLogger,
    random: () => 0.5,
    backoff: { base: 20, max: 100 },
  });
  machines.push(link);
  listenToCommands({
    fleet: FLEET,
    device,
    link,
    time: { now: () => ({ now: Date.now(), trusted: true }) } as unknown as SignedClock,
    logger: silentLogger,
    handlers: {
      report: () => undefined,
      flush: () => undefined,
      'fetch-refused': () => undefined,
      'stand-down': (cmd) => {
        if (cmd.bootId === boot.bootId) link.standDown(fromErrorBody(cmd.error));
      },
    },
  });
  await link.start();
  return link;
}

const presence = async (device: string): Promise<string> => (await hub.fleet.devices.get(device)).presence.state;
const marks = async (device: string): Promise<string[]> => (await hub.fleet.devices.get(device)).marks.map(({ mark }) => mark);
const kinds = async (device: string): Promise<string[]> => (await listEvents(hub.db, { device, limit: 100 })).map(({ kind }) => kind);

describe('a device put back to an older image', () => {
  it('18 E: is alive at once, its reports are taken, its figures count, and what was counted before does not count again', async () => {
    hub = await FleetHub.start();
    const answer = await enrol('cam-7');
    const before = await switchOn(answer, 'pi', { boot: 50, bootId: 'before-the-image' });
    await until('it to be online', async () => (await presence('cam-7')) === 'online');
    const say = (link: MqttLink, channel: 'telemetry' | 'reported', bytes: Uint8Array) =>
      link.publish(deviceTopic(FLEET, answer.device, channel), bytes);
    const window = (boot: number, bootId: string, seq: number) =>
      encodeMessage('telemetry', { ...telemetryOf('cam-7', { boot, seq, values: [1, 2] }), bootId });
    await say(before, 'telemetry', window(31, 'in-the-image', 7));
    await say(before, 'telemetry', window(50, 'before-the-image', 9));
    await say(
      before,
      'reported',
      encodeMessage('reported', reportedOf('cam-7', { boot: 50, bootId: 'before-the-image', agentVersion: '2' })),
    );
    await until('its figures to be stored', () => hub.telemetry.ingest.figures.snapshot.stored.telemetry === 2);
    await before.close();
    await until('it to be offline', async () => (await presence('cam-7')) === 'offline');

    const acks: Ack['records'][number][] = [];
    const after = await switchOn(answer, 'pi', { boot: 31, bootId: 'after-the-image', afterBootId: 'in-the-image' });
    after.subscribe(
      deviceTopic(FLEET, answer.device, 'ack'),
      (_topic, bytes) => void acks.push(...decodeMessage('ack', bytes, 'cam-7').records),
    );
    await until('it to be online again', async () => (await presence('cam-7')) === 'online');
    // What lay unacknowledged in the image was counted; what is new has the same numbers as what was.
    await say(after, 'telemetry', window(31, 'in-the-image', 7));
    await say(after, 'telemetry', window(31, 'after-the-image', 7));
    await say(
      after,
      'reported',
      encodeMessage('reported', reportedOf('cam-7', { boot: 31, bootId: 'after-the-image', agentVersion: '1' })),
    );
    await until('both to be acknowledged', () => acks.length === 2);
    expect(new Set(acks.map(({ bootId }) => bootId))).toEqual(new Set(['after-the-image', 'in-the-image']));
    expect(hub.telemetry.ingest.figures.snapshot).toMatchObject({ stored: { telemetry: 3 }, duplicates: 1 });
    await until('its report to be taken', async () => (await hub.fleet.devices.get('cam-7')).agentVersion === '1');

    expect(await marks('cam-7')).toEqual(['restored']);
    expect(hub.alerts).toMatchObject([{ device: 'cam-7', mark: 'restored' }]);
    await hub.fleet.starts.settle(answer.device, undefined);
    expect(await marks('cam-7')).toEqual([]);
    expect(await kinds('cam-7')).toEqual(['device.restored.over', 'device.restored']);
  });
});

describe('two devices made from one card', () => {
  it('18 F: are named, the second is refused until that is settled, and neither forgets what the other was acknowledged', async () => {
    hub = await FleetHub.start();
    const answer = await enrol('cam-7');
    const first = await switchOn(answer, 'pi-a', { boot: 2, bootId: 'first-machine', afterBootId: 'on-the-card' });
    await until('the first to be online', async () => (await presence('cam-7')) === 'online');
    const second = await switchOn(answer, 'pi-b', { boot: 2, bootId: 'second-machine', afterBootId: 'on-the-card' });
    await until('the second to stay away', () => second.status.kind === 'offline' && COPY.test(second.status.reason ?? ''));
    await until('the first to be back', () => first.status.kind === 'online');
    await until('the hub to know', async () => (await presence('cam-7')) === 'online');
    const [mark] = (await hub.fleet.devices.get('cam-7')).marks;
    expect(mark).toMatchObject({ mark: 'copied', message: expect.stringMatching(/pi-a.*kept.*pi-b.*settle cam-7/) as unknown });
    expect(hub.alerts.map((alert) => alert.mark)).toContain('copied');
    expect(await kinds('cam-7')).toContain('device.copied');

    // A later start of the copy is not let in at all: the first one is not thrown off again.
    await second.close();
    const { connection } = await hub.db.selectFrom('device_states').select('presence_connection as connection').executeTakeFirstOrThrow();
    const later = await switchOn(answer, 'pi-b', { boot: 3, bootId: 'second-machine-later', afterBootId: 'second-machine' });
    await until('the copy to be turned away', () => later.status.kind === 'offline' && COPY.test(later.status.reason ?? ''));
    // Nor is the one after that, which names only a start whose birth was never heard.
    await later.close();
    const again = await switchOn(answer, 'pi-b', { boot: 4, bootId: 'second-machine-last', afterBootId: 'second-machine-later' });
    await until('the copy to be turned away again', () => again.status.kind === 'offline' && COPY.test(again.status.reason ?? ''));
    expect(first.status.kind).toBe('online');
    expect(await hub.db.selectFrom('device_states').select('presence_connection as connection').executeTakeFirstOrThrow()).toEqual({
      connection,
    });

    await expect(hub.fleet.starts.settle(answer.device, 'pi-c')).rejects.toMatchObject({ code: 'DEVICE_COPY_UNKNOWN' });
    // The other one is to stay.
    await hub.fleet.starts.settle(answer.device, 'pi-b');
    await until('the first to stand down', () => first.status.kind === 'offline' && COPY.test(first.status.reason ?? ''));
    await until('the other to be let in', () => again.status.kind === 'online');
    await first.close();
    await hub.fleet.starts.settle(answer.device, undefined);
    expect(await marks('cam-7')).toEqual([]);
  });
});
