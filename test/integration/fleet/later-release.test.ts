import { afterEach, describe, expect, it } from 'vitest';
import { deviceTopic } from '#shared/protocol/topics.js';
import { FLEET, FleetHub, type TestDevice } from '../../kit/fleet-hub.js';
import { until } from '../../kit/until.js';
import { readDocument } from '../../vectors/documents.js';
import { readSet } from '../../vectors/sets.js';

const DEVICE = 'cam-1';

interface Acknowledged {
  readonly records: readonly { readonly seq: number; readonly refused?: unknown }[];
}

describe('a hub of this release, and a device of a later one', () => {
  let hub: FleetHub | undefined;
  let device: TestDevice | undefined;
  afterEach(async () => {
    device?.client.end(true);
    await hub?.close();
  });

  it('takes its reports, passes them on whole, and acknowledges its events and telemetry', async () => {
    const later = await readSet('later');
    const bytesOf = (file: string): Uint8Array => later.get(file) ?? new Uint8Array();
    hub = await FleetHub.start();
    const { fleet } = hub;
    device = await hub.device(DEVICE);
    await device.listen(deviceTopic(FLEET, device.id, 'ack'));

    const report = bytesOf('reported.candidate.json');
    await device.say(deviceTopic(FLEET, device.id, 'reported'), report, true);
    const { reported } = await until('the hub to have the report', async () => {
      const detail = await fleet.devices.get(DEVICE);
      return detail.reported !== null && detail;
    });
    expect(reported).toEqual(readDocument('reported.candidate.json', report));

    for (const [channel, file] of [
      ['event', 'event.unknown.json'],
      ['telemetry', 'telemetry.flushed.cbor'],
    ] as const) {
      const { seq } = readDocument(file, bytesOf(file)) as { seq: number };
      await device.say(deviceTopic(FLEET, device.id, channel), bytesOf(file));
      const record = await until(`the ${channel} to be acknowledged`, async () =>
        device
          ?.on(deviceTopic(FLEET, DEVICE, 'ack'))
          .flatMap((payload) => (JSON.parse(Buffer.from(payload).toString()) as Acknowledged).records)
          .find((one) => one.seq === seq),
      );
      expect(record).not.toHaveProperty('refused');
    }
  });
});
