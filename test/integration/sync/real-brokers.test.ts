import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MqttBlobFetcher } from '#agent/sync/blob-fetcher.js';
import { MqttLink } from '#agent/sync/link.js';
import { OutboxPump } from '#agent/sync/outbox-pump.js';
import { BrokerLink } from '#hub/broker/link.js';
import { digestSchema } from '#shared/bundle/names.js';
import { systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage, encodeMessage } from '#shared/protocol/codec.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { deviceTopic, fleetFilter } from '#shared/protocol/topics.js';
import { BlobHub, type HubWire } from '../../kit/blob-hub.js';
import { mosquittoMissing, startEmbedded, startMosquitto } from '../../kit/brokers.js';
import { MemoryBlob, MemoryOutbox, sha256 } from '../../kit/memory-store.js';
import { TcpProxy } from '../../kit/tcp-proxy.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const fleet = 'test';
const device = deviceIdSchema.parse('lab-1');
const password = 'password-of-the-device-lab-1';
const users = { fleet, devices: new Map([[device as string, password]]) };
const common = { fleet, device, clock: systemClock, logger: silentLogger, random: () => 0.5 };
const backoff = { base: 20, max: 100 };

const BROKERS = [
  { name: 'the embedded broker', start: startEmbedded, missing: undefined },
  { name: 'mosquitto', start: startMosquitto, missing: mosquittoMissing() },
];

describe.each(BROKERS)('a device on $name, with its rules', ({ start, missing }) => {
  it.skipIf(missing !== undefined)(
    'fetches and is acknowledged, over a restart of the broker, without fetching a piece twice',
    async () => {
      const broker = await start(users);
      const hub = new BrokerLink({
        connection: () => broker.hub(),
        clientId: 'skerry.hub',
        clock: systemClock,
        logger: silentLogger,
        random: () => 0.5,
        backoff,
      });
      const listeners: ((message: { topic: string; payload: Uint8Array }) => void)[] = [];
      for (const channel of ['fetch', 'event'] as const) {
        hub.subscribe(fleetFilter(fleet, channel), (topic, payload) => {
          for (const listener of listeners) listener({ topic, payload: Uint8Array.from(payload) });
        });
      }
      const wire: HubWire = {
        get session() {
          return hub.status.kind === 'online' ? hub.status.connection : undefined;
        },
        onMessage: (listener) => void listeners.push(listener),
        publish: (topic, payload) => hub.publish(topic, payload),
      };
      const pieces = Array.from({ length: 90 }, () => randomBytes(20_000));
      const digest = digestSchema.parse(sha256(Buffer.concat(pieces)));
      const blobs = new BlobHub(wire, fleet);
      blobs.blobs.set(digest, pieces);
      await hub.start();

      const cable = await TcpProxy.start(broker.port);
      const link = new MqttLink({
        ...common,
        boot: { boot: 1, bootId: 'start-of-this-one' },
        host: 'lab',
        broker: () => ({ urls: [`mqtt://127.0.0.1:${cable.port}`], username: device, password }),
        keepalive: 30_000,
        backoff,
      });
      // Its time stands still: however busy the machine, the hub is not taken for silent.
      const fetcher = new MqttBlobFetcher({ ...common, clock: new VirtualClock(), link, settings: { size: 32, low: 8 } });
      const outbox = new MemoryOutbox();
      const pump = new OutboxPump({ fleet, device, link, outbox, clock: systemClock, logger: silentLogger });
      const stored = new Set<number>();
      wire.onMessage(({ topic, payload }) => {
        if (topic !== deviceTopic(fleet, device, 'event')) return;
        const event = decodeMessage('event', payload, device);
        stored.add(event.seq);
        const ack = encodeMessage('ack', { device, records: [{ boot: event.boot, seq: event.seq }] });
        void wire.publish(deviceTopic(fleet, device, 'ack'), ack).catch(() => undefined);
      });
      await pump.start();
      await link.start();
      await until('online', () => link.status.kind === 'online');
      const event = { device, at: new Date().toISOString(), kind: 'agent.started' };
      for (let i = 0; i < 50; i += 1) await outbox.append('event', event);

      const blob = new MemoryBlob(pieces);
      let restarted = false;
      blobs.onPiece = async (index, bytes) => {
        if (index === 40 && !restarted) {
          restarted = true;
          await until('all sent has arrived', () => blob.content.filter((piece) => piece !== undefined).length === blobs.sent.length);
          const [ofDevice, ofHub] = [link.status, wire.session];
          // The hub is back first: nobody would hear what the device asks before it, and here no silence ends.
          cable.cut();
          await broker.restart();
          await until('the hub is back', () => wire.session !== undefined && wire.session !== ofHub);
          cable.join();
          await until('a new session', () => link.status.kind === 'online' && link.status !== ofDevice);
        }
        return bytes;
      };
      for (let i = 0; i < 50; i += 1) await outbox.append('event', event);
      await fetcher.fetch('artifact', digest, blob, 90, () => undefined, new AbortController().signal);
      expect(restarted).toBe(true);
      expect(blobs.sent.length).toBe(new Set(blobs.sent).size);
      expect(Buffer.concat(blob.content as Uint8Array[]).equals(Buffer.concat(pieces))).toBe(true);
      await until('every record is acknowledged', () => outbox.records.length === 0);
      expect(stored.size).toBe(100);
      await pump.close();
      await link.close();
      await cable.close();
      await hub.close();
      await broker.close();
    },
  );
});
