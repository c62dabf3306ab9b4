import { afterEach, describe, expect, it } from 'vitest';
import { encode as encodeCbor } from 'cborg';
import { listEvents } from '#hub/telemetry/events-query.js';
import { fleetMetrics } from '#hub/telemetry/fleet-metrics.js';
import { readRecord } from '#hub/telemetry/record.js';
import { storeBatch } from '#hub/telemetry/ingest-store.js';
import { INGEST_DEFAULTS } from '#hub/telemetry/ingest.js';
import { systemClock } from '#shared/kernel/clock.js';
import { renderMetrics } from '#shared/kernel/exposition.js';
import { decodeMessage, encodeMessage } from '#shared/protocol/codec.js';
import { ROWS } from '#shared/signals/rows.js';
import { Sums } from '#shared/signals/sums.js';
import { SIGNALS } from '#shared/signals/table.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { FLEET, FleetHub, type FleetHubOptions, type TestDevice } from '../../kit/fleet-hub.js';
import { eventOf, telemetryOf } from '../../kit/messages.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const open: FleetHub[] = [];
afterEach(async () => {
  for (const hub of open.splice(0)) await hub.close();
});
async function start(options: FleetHubOptions = {}): Promise<{ hub: FleetHub; device: TestDevice }> {
  const hub = await FleetHub.start(options);
  open.push(hub);
  const device = await hub.device('d1');
  await device.listen(deviceTopic(FLEET, device.id, 'ack'));
  return { hub, device };
}

/** Positions acknowledged to a device, with the code where one was refused. */
function acks(device: TestDevice): string[] {
  return device
    .on(deviceTopic(FLEET, device.id, 'ack'))
    .flatMap((payload) => decodeMessage('ack', payload, device.id).records)
    .map(({ boot, seq, refused }) => `${boot}/${seq}${refused === undefined ? '' : ` ${refused.code}`}`);
}

/** Acknowledgements that were on their way to the device before this was asked. */
async function acksUntilNow(hub: FleetHub, device: TestDevice): Promise<string[]> {
  const mark = { device: device.id, records: [{ boot: 99, seq: 99 }] };
  await hub.link.publish(deviceTopic(FLEET, device.id, 'ack'), encodeMessage('ack', mark));
  await until('the mark', () => acks(device).includes('99/99'));
  return acks(device).filter((ack) => ack !== '99/99');
}

function report(device: TestDevice, options: Parameters<typeof telemetryOf>[1]): Promise<void> {
  return device.say(deviceTopic(FLEET, device.id, 'telemetry'), encodeMessage('telemetry', telemetryOf(device.id, options)));
}

const totals = async (hub: FleetHub) => {
  const rows = await hub.db.selectFrom('metrics_total').select(['version', 'signals']).orderBy('version').execute();
  return rows.map(({ version, signals }) => ({ version, predictions: Sums.stored(SIGNALS, signals).of(ROWS.predictions) }));
};

describe('ingest', () => {
  it('counts a record once however often it comes, and acknowledges it every time', async () => {
    const { hub, device } = await start();
    await report(device, { seq: 1, values: [1, 2, 3] });
    await until('the first acknowledgement', () => acks(device).length === 1);
    await report(device, { seq: 1, values: [1, 2, 3] });
    await until('the second acknowledgement', () => acks(device).length === 2);
    expect(acks(device)).toEqual(['1/1', '1/1']);
    expect(await totals(hub)).toEqual([{ version: 1, predictions: 3 }]);
    expect(hub.telemetry.ingest.figures.snapshot).toMatchObject({ stored: { telemetry: 1 }, duplicates: 1 });
  });

  it('counts once what was committed but not acknowledged before the hub died', async () => {
    const { hub, device } = await start();
    // What a hub killed between commit and acknowledgement leaves behind: the transaction, and nothing else.
    const payload = encodeMessage('telemetry', telemetryOf('d1', { seq: 1, values: [5] }));
    const record = readRecord('telemetry', device.id, payload);
    if (record.kind !== 'telemetry') throw new Error(record.kind);
    await hub.db.transaction().execute((trx) => storeBatch(trx, [record], INGEST_DEFAULTS.widths, Date.now()));
    device.client.end(true);
    await hub.stop();
    open.splice(0);

    const again = await FleetHub.start({ folder: hub.folder, directorKey: hub.directorKey });
    open.push(again);
    const back = await again.connect(device.answer);
    await back.listen(deviceTopic(FLEET, back.id, 'ack'));
    await back.say(deviceTopic(FLEET, back.id, 'telemetry'), payload);
    await report(back, { seq: 2, values: [6] });
    await until('both acknowledgements', () => acks(back).length === 2);
    expect(acks(back).sort()).toEqual(['1/1', '1/2']);
    expect(await totals(again)).toEqual([{ version: 1, predictions: 2 }]);
  });

  it('leaves nothing of a batch whose transaction fails, and does not acknowledge it', async () => {
    const { hub, device } = await start({ ingest: { retryAfter: 1 } });
    await hub.db.schema.alterTable('metrics_total').renameTo('hidden').execute();
    await report(device, { seq: 1, values: [1] });
    await until('the failure', () => hub.telemetry.ingest.figures.snapshot.failedBatches > 0);
    expect(await hub.db.selectFrom('ingest_positions').selectAll().execute()).toEqual([]);
    await hub.db.schema.alterTable('hidden').renameTo('metrics_total').execute();
    expect(await acksUntilNow(hub, device)).toEqual([]);
    await report(device, { seq: 1, values: [1] });
    await until('the acknowledgement', () => acks(device).includes('1/1'));
    expect(await totals(hub)).toEqual([{ version: 1, predictions: 1 }]);
  });

  it('refuses what it cannot read, with the code, and counts it', async () => {
    const { hub, device } = await start();
    const topic = deviceTopic(FLEET, device.id, 'telemetry');
    const good = telemetryOf('d1', { seq: 4, values: [1] });
    await device.say(topic, encodeCbor({ device: 'd1', boot: 1, seq: 1 }));
    await device.say(topic, encodeCbor({ ...telemetryOf('d2', { seq: 2, values: [] }) }));
    await device.say(topic, encodeCbor({ ...good, seq: 3, windows: [{ ...good.windows[0], total: Uint8Array.of(1, 2, 3) }] }));
    await device.say(topic, encodeCbor({ ...good, windows: [{ ...good.windows[0], predictions: Number.MAX_SAFE_INTEGER }] }));
    await device.say(topic, Buffer.from('no cbor at all'));
    await device.say(
      deviceTopic(FLEET, device.id, 'event'),
      Buffer.from(JSON.stringify({ device: 'd1', boot: 1, seq: 5, kind: 'nonsense' })),
    );
    await report(device, { seq: 6, values: [1] });
    await until('everything answered', () => acks(device).length === 6);
    expect(acks(device).sort()).toEqual([
      '1/1 PROTOCOL_MESSAGE_INVALID',
      '1/2 PROTOCOL_DEVICE_MISMATCH',
      '1/3 SKETCH_INVALID',
      '1/4 PROTOCOL_MESSAGE_INVALID',
      '1/5 PROTOCOL_MESSAGE_INVALID',
      '1/6',
    ]);
    expect(hub.telemetry.ingest.figures.snapshot).toMatchObject({
      unreadable: 1,
      refused: { PROTOCOL_MESSAGE_INVALID: 3, PROTOCOL_DEVICE_MISMATCH: 1, SKETCH_INVALID: 1 },
    });
  });

  it('neither stores nor acknowledges what a device says that was revoked', async () => {
    const { hub, device } = await start();
    const payload = encodeMessage('event', eventOf('d1', 1));
    await hub.db.updateTable('devices').set({ revoked_at: 1 }).execute();
    await device.say(deviceTopic(FLEET, device.id, 'event'), payload);
    await until('the record to be seen', () => hub.telemetry.ingest.figures.snapshot.foreign === 1);
    expect(await listEvents(hub.db, { limit: 10 })).toEqual([]);
    expect(await acksUntilNow(hub, device)).toEqual([]);
  });

  it('takes no more than its queue holds, and what it left out comes again', async () => {
    const clock = new VirtualClock(Date.now());
    const { hub, device } = await start({ clock, ingest: { queueRecords: 2, gather: 300 } });
    for (const seq of [1, 2, 3]) await report(device, { seq, values: [1] });
    await until('the third to be left out', () => hub.telemetry.ingest.figures.snapshot.shed === 1);
    expect(hub.telemetry.ingest.queued.records).toBe(2);
    await clock.advance(300);
    await until('two acknowledgements', () => acks(device).length === 2);
    await report(device, { seq: 3, values: [1] });
    await until('the third to be taken', () => hub.telemetry.ingest.queued.records === 1);
    await clock.advance(300);
    await until('the third', () => acks(device).includes('1/3'));
    expect(await totals(hub)).toEqual([{ version: 1, predictions: 3 }]);
  });

  it('keeps up with many records and merges them in one figure', async () => {
    const { hub, device } = await start();
    const count = 400;
    await Promise.all(
      Array.from({ length: count }, (_, index) => report(device, { seq: index + 1, version: 1 + (index % 2), values: [index + 1] })),
    );
    await until('all acknowledgements', () => new Set(acks(device)).size === count);
    expect(await totals(hub)).toEqual([
      { version: 1, predictions: count / 2 },
      { version: 2, predictions: count / 2 },
    ]);
    expect(await hub.db.selectFrom('ingest_positions').select('ranges').execute()).toEqual([{ ranges: `1-${count}` }]);
    const [one, two] = await hub.telemetry.metrics.model('vad', { since: Date.now() - 600_000 });
    expect(one).toMatchObject({ version: 1, predictions: 200, errorRate: 0 });
    expect(Math.abs((one?.signals.latency?.p50 ?? 0) - 199)).toBeLessThan(199 * 0.02);
    expect(two?.signals.latency?.max).toBe(count);
    expect(await hub.telemetry.metrics.model('vad', { since: Date.now() - 600_000, device: 'd1' })).toHaveLength(2);
    expect(await hub.telemetry.metrics.model('vad', { since: Date.now() - 600_000, device: 'nobody' })).toEqual([]);
  });

  it('answers events by filter and Prometheus with figures', async () => {
    const { hub, device } = await start();
    const error = { code: 'MODELS_CRASHED', message: 'twice' };
    const topic = deviceTopic(FLEET, device.id, 'event');
    await device.say(topic, encodeMessage('event', eventOf('d1', 1)));
    await device.say(
      topic,
      encodeMessage(
        'event',
        eventOf('d1', 2, { kind: 'version.refused', model: 'vad' as never, version: 3 as never, error, detail: { at: 1 } }),
      ),
    );
    await report(device, { seq: 3, values: [2, 4], errors: { INFERENCE_TIMEOUT: 1, TENSOR_SHAPE: 1 } });
    await until('all acknowledgements', () => acks(device).length === 3);
    expect(await listEvents(hub.db, { limit: 10, kind: 'version.refused' })).toMatchObject([
      { device: 'd1', seq: 2, model: 'vad', version: 3, error, detail: { at: 1 } },
    ]);
    expect(await listEvents(hub.db, { limit: 10, device: 'd1' })).toHaveLength(2);
    expect(hub.events.filter((event) => event.kind === 'device.event' || event.kind === 'telemetry.window')).toHaveLength(3);
    const text = renderMetrics(
      await fleetMetrics({ db: hub.db, clock: systemClock, ingest: hub.telemetry.ingest, query: hub.telemetry.metrics }),
    );
    expect(text).toContain('skerry_hub_devices{state="never"} 1');
    expect(text).toContain('skerry_hub_predictions_total{model="vad",version="1"} 2');
    expect(text).toContain('skerry_hub_prediction_errors_total{model="vad",version="1",code="INFERENCE_TIMEOUT"} 1');
    expect(text).toContain('skerry_hub_caller_errors_total{model="vad",version="1",code="TENSOR_SHAPE"} 1');
    expect(text).not.toMatch(/prediction_errors_total.*TENSOR_SHAPE/);
    expect(text).toMatch(/skerry_hub_prediction_recent_seconds\{model="vad",version="1",phase="total",quantile="0\.5"\} 0\.00/);
    expect(text).toContain('skerry_hub_ingest_records_total{kind="event"} 2');
  });
});
