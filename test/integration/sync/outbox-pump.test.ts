import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MqttLink } from '#agent/sync/link.js';
import { OutboxPump } from '#agent/sync/outbox-pump.js';
import type { WindowSettings } from '#agent/sync/outbox-window.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { encodeMessage, type MessageOf } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { TestBroker } from '../../kit/broker.js';
import { deviceLink } from '../../kit/device-link.js';
import { MemoryOutbox } from '../../kit/memory-store.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const device = 'lab-1' as DeviceId;
const eventTopic = deviceTopic('test', device, 'event');
const ackTopic = deviceTopic('test', device, 'ack');

let broker: TestBroker;
let link: MqttLink;
let outbox: MemoryOutbox;
/** By which the hub is silent and records go out; a test moves it. */
let clock: VirtualClock;
const pumps: OutboxPump[] = [];

beforeEach(async () => {
  broker = await TestBroker.start();
  outbox = new MemoryOutbox();
  clock = new VirtualClock();
  link = deviceLink(broker.url);
});

afterEach(async () => {
  for (const pump of pumps.splice(0)) await pump.close();
  await link.close();
  await broker.kill();
});

async function startPump(settings: Partial<WindowSettings> = {}): Promise<OutboxPump> {
  const pump = new OutboxPump({ fleet: 'test', device, link, outbox, clock, logger: silentLogger, settings });
  pumps.push(pump);
  await pump.start();
  await link.start();
  await until('online', () => link.status.kind === 'online');
  return pump;
}

const sent = (): number[] => broker.on(eventTopic).map((payload) => (JSON.parse(payload.toString()) as { seq: number }).seq);
/** What the broker had taken when something published now over the same connection arrived: had more been sent, it would be there. */
async function sentBefore(mark: string): Promise<number[]> {
  await link.publish(`test/${mark}`, new Uint8Array());
  return sent();
}
const append = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1) await outbox.append('event', { n: i });
};
const ack = (seqs: readonly number[], refused?: MessageOf<'ack'>['records'][number]['refused']): Promise<void> => {
  const records = seqs.map((seq) => (refused === undefined ? { boot: 1, seq } : { boot: 1, seq, refused }));
  return broker.publish(ackTopic, encodeMessage('ack', { device, records }));
};

describe('OutboxPump', () => {
  it('sends a window, and forgets only what the hub acknowledged', async () => {
    await append(10);
    await startPump({ size: 4 });
    await until('a window', () => sent().length === 4);
    expect(sent()).toEqual([1, 2, 3, 4]);
    expect(outbox.records.length).toBe(10);
    await ack([2, 3]);
    await until('two more', () => sent().length === 6);
    expect(sent()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(outbox.records.map((record) => record.seq)).toEqual([1, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('sends what is appended while online', async () => {
    await startPump();
    await append(1);
    await until('one', () => sent().length === 1);
    await ack([1]);
    await until('forgotten', () => outbox.records.length === 0);
    await append(1);
    await until('two', () => sent().length === 2);
    expect(sent()).toEqual([1, 2]);
  });

  it('sends the unacknowledged again after the broker was killed, under the same positions', async () => {
    await append(3);
    await startPump();
    await until('sent', () => sent().length === 3);
    await ack([2]);
    await until('one forgotten', () => outbox.records.length === 2);
    await broker.kill();
    await append(1);
    await broker.restart();
    await until('sent again', () => sent().length === 6);
    expect(sent().slice(3)).toEqual([1, 3, 4]);
  });

  it('sends again after a silence of the hub', async () => {
    await append(2);
    await startPump({ ackTimeout: { base: 1_000, max: 5_000 } });
    await until('sent', () => sent().length === 2);
    await clock.advance(999);
    expect(await sentBefore('a mark')).toEqual([1, 2]);
    await clock.advance(1);
    await until('sent again', () => sent().length === 4);
    expect(sent()).toEqual([1, 2, 1, 2]);
    await ack([1, 2]);
    await until('forgotten', () => outbox.records.length === 0);
  });

  it('drops and counts what the hub refuses, and ignores acks it cannot read or that are for others', async () => {
    await append(2);
    const pump = await startPump();
    await until('sent', () => sent().length === 2);
    await broker.publish(ackTopic, 'not json');
    await broker.publish(ackTopic, encodeMessage('ack', { device: 'lab-2' as DeviceId, records: [{ boot: 1, seq: 2 }] }));
    await ack([1], { code: 'MESSAGE_MALFORMED', message: 'no' });
    await until('one left', () => outbox.records.length === 1);
    expect(outbox.records[0]?.seq).toBe(2);
    expect(pump.refused).toBe(1);
  });

  it('keeps to its rate', async () => {
    await append(30);
    await startPump({ size: 100, perSecond: 10 });
    await until('the first ten', () => sent().length === 10);
    await clock.advance(999);
    expect((await sentBefore('a mark')).length).toBe(10);
    await clock.advance(1);
    await until('the next ten', () => sent().length === 20);
    expect((await sentBefore('another mark')).length).toBe(20);
  });
});
