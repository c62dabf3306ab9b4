import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hashPassword } from '#hub/broker/credentials.js';
import { EmbeddedBroker } from '#hub/broker/embedded.js';
import { MQTT_PATH } from '#shared/protocol/mqtt-path.js';
import { BrokerLink } from '#hub/broker/link.js';
import { systemClock } from '#shared/kernel/clock.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { blobTopic, deviceTopic, fleetFilter, trustTopic } from '#shared/protocol/topics.js';
import { connectDevice, mosquittoMissing, startEmbedded, startMosquitto, type TestBroker } from '../../kit/brokers.js';
import { until } from '../../kit/until.js';

const FLEET = 'harbour';
const devices = new Map([
  ['d1', 'password-one'],
  ['d2', 'password-two'],
]);

const brokers = [
  { name: 'embedded', missing: undefined, start: () => startEmbedded({ fleet: FLEET, devices }) },
  { name: 'mosquitto', missing: mosquittoMissing(), start: () => startMosquitto({ fleet: FLEET, devices }) },
];

for (const { name, missing, start } of brokers) {
  describe.skipIf(missing !== undefined)(`wire on ${name}${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
    let broker: TestBroker;
    let link: BrokerLink;
    const clients: MqttClient[] = [];

    beforeEach(async () => {
      broker = await start();
      link = newLink(broker);
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.end(true);
      await link.close();
      await broker.close();
    });

    const device = async (id: string, options = {}): Promise<Listener> => {
      const client = await connectDevice(broker.port, id, devices.get(id) ?? '', options);
      clients.push(client);
      return new Listener(client);
    };

    it('carries messages both ways, and only to whom they are meant for', async () => {
      const got: string[] = [];
      link.subscribe(fleetFilter(FLEET, 'event'), (topic, payload) => got.push(`${topic} ${Buffer.from(payload).toString()}`));
      await link.start();
      const [one, two] = [await device('d1'), await device('d2')];
      await one.subscribe(deviceTopic(FLEET, 'd1', 'cmd'));
      await two.subscribe(deviceTopic(FLEET, 'd2', 'cmd'));
      await link.publish(deviceTopic(FLEET, 'd1', 'cmd'), Buffer.from('go'));
      await one.client.publishAsync(deviceTopic(FLEET, 'd1', 'event'), 'hello', { qos: 1 });
      await until('the event', () => got.includes(`${deviceTopic(FLEET, 'd1', 'event')} hello`));
      await until('the command', () => one.got.length === 1);
      expect(two.got).toEqual([]);
    });

    it('refuses a wrong password, an unknown device and an anonymous one', async () => {
      expect(await refused(broker.port, 'd1', 'wrong')).toBe(true);
      expect(await refused(broker.port, 'd3', 'password-one')).toBe(true);
      expect(await refused(broker.port, undefined, undefined)).toBe(true);
    });

    it('keeps a device out of the topics of another', async () => {
      const got: string[] = [];
      link.subscribe(`skerry/v1/${FLEET}/#`, (topic) => got.push(topic));
      await link.start();
      const thief = await device('d2');
      for (const filter of [deviceTopic(FLEET, 'd1', 'desired'), `skerry/v1/${FLEET}/+/+/desired`, '#']) {
        await thief.subscribe(filter).catch(() => undefined);
      }
      await link.publish(deviceTopic(FLEET, 'd1', 'desired'), Buffer.from('secret'), { retain: true });
      const one = await device('d1');
      await one.subscribe(deviceTopic(FLEET, 'd1', 'desired'));
      await until('the right device has it', () => one.got.length === 1);
      for (const topic of [
        deviceTopic(FLEET, 'd1', 'telemetry'),
        deviceTopic(FLEET, 'd1', 'desired'),
        deviceTopic(FLEET, 'd2', 'desired'),
        trustTopic(FLEET, 'timestamp.json'),
      ]) {
        const liar = await device('d2');
        // An embedded broker cuts the connection, mosquitto swallows the message: both keep it from arriving.
        liar.client.publish(topic, 'lie', { qos: 0, retain: true });
        liar.client.end();
      }
      const honest = await device('d2');
      await honest.client.publishAsync(deviceTopic(FLEET, 'd2', 'event'), 'true', { qos: 1 });
      await until('the honest message', () => got.includes(deviceTopic(FLEET, 'd2', 'event')));
      expect(got.filter((topic) => topic !== deviceTopic(FLEET, 'd2', 'event') && topic !== deviceTopic(FLEET, 'd1', 'desired'))).toEqual(
        [],
      );
      expect(one.got).toEqual(['secret']);
      expect(thief.got).toEqual([]);
    });

    it('gives a late subscriber what was retained', async () => {
      await link.start();
      await link.publish(deviceTopic(FLEET, 'd1', 'desired'), Buffer.from('v1'), { retain: true });
      await link.publish(deviceTopic(FLEET, 'd1', 'desired'), Buffer.from('v2'), { retain: true });
      const late = await device('d1');
      await late.subscribe(deviceTopic(FLEET, 'd1', 'desired'));
      await until('the retained message', () => late.got.length > 0);
      expect(late.got).toEqual(['v2']);
    });

    it('tells the death of a device by its will, and lets a new session take over', async () => {
      const got: string[] = [];
      link.subscribe(fleetFilter(FLEET, 'presence'), (_topic, payload) => got.push(Buffer.from(payload).toString()));
      await link.start();
      const will = { topic: deviceTopic(FLEET, 'd1', 'presence'), payload: Buffer.from('dead'), qos: 1 as const, retain: true };
      const first = await device('d1', { will });
      const closed = new Promise<void>((resolve) => first.client.once('close', resolve));
      const second = await device('d1');
      await closed;
      await second.client.publishAsync(deviceTopic(FLEET, 'd1', 'presence'), 'alive', { qos: 1, retain: true });
      await until('both', () => got.includes('dead') && got.includes('alive'));
      expect(second.client.connected).toBe(true);
    });

    it('comes back after the broker was away, subscribes again and publishes retained state again', async () => {
      const got: string[] = [];
      const topic = deviceTopic(FLEET, 'd1', 'desired');
      const prepare = (): void => {
        link.subscribe(fleetFilter(FLEET, 'event'), (_topic, payload) => got.push(Buffer.from(payload).toString()));
        link.onOnline(() => link.publish(topic, Buffer.from('wanted'), { retain: true }));
      };
      prepare();
      await link.start();
      await broker.restart();
      await until('the link to be back', () => link.status.kind === 'online' && link.status.connection >= 2);
      const one = await device('d1');
      await one.subscribe(topic);
      await until('the retained state', () => one.got.includes('wanted'));
      await one.client.publishAsync(deviceTopic(FLEET, 'd1', 'event'), 'again', { qos: 1 });
      await until('the event', () => got.includes('again'));
      expect(one.got.at(-1)).toBe('wanted');
    });

    it('refuses to publish while it is closed', async () => {
      await link.start();
      await link.close();
      await expect(link.publish(trustTopic(FLEET, 'index'), Buffer.from('x'))).rejects.toMatchObject({ code: 'BROKER_OFFLINE' });
    });
  });
}

describe('embedded broker', () => {
  const running: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const one of running.splice(0).toReversed()) await one.close();
  });
  const start = async (options: { maxConnections?: number } = {}): Promise<EmbeddedBroker> => {
    const broker = new EmbeddedBroker({
      fleet: FLEET,
      listen: { host: '127.0.0.1', port: 0 },
      logger: silentLogger,
      fetchPolicy: { mayFetch: () => Promise.resolve(true) },
      credentials: {
        isCopy: () => Promise.resolve(false),
        passwordHash: (id) => Promise.resolve(devices.has(id) ? hashPassword(devices.get(id) ?? '') : undefined),
      },
      ...options,
    });
    await broker.start();
    running.push(broker);
    return broker;
  };

  it('serves WebSocket on the path of the HTTP server', async () => {
    const broker = await start();
    const server = createServer();
    broker.attachTo(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const client = await connectAsync(`ws://127.0.0.1:${port}${MQTT_PATH}`, {
      clientId: 'd1',
      username: 'd1',
      password: 'password-one',
      reconnectPeriod: 0,
    });
    await client.publishAsync(deviceTopic(FLEET, 'd1', 'event'), 'x', { qos: 1 });
    expect(broker.connections).toBe(1);
    await client.endAsync();
    await new Promise((resolve) => server.close(resolve));
  });

  it('refuses the credentials of the hub on the listener of the devices', async () => {
    const broker = await start();
    const { username, password } = broker.hubConnection;
    expect(await refused(broker.port, username, password)).toBe(true);
  });

  it('refuses a client id that is not the device', async () => {
    const broker = await start();
    expect(await refused(broker.port, 'd1', 'password-one', { clientId: 'd2' })).toBe(true);
  });

  it('refuses a will in the topic of another device', async () => {
    const broker = await start();
    const will = { topic: deviceTopic(FLEET, 'd2', 'presence'), payload: Buffer.from('dead'), qos: 1 as const, retain: true };
    expect(await refused(broker.port, 'd1', 'password-one', { will })).toBe(true);
  });

  it('cuts a connection that announces a packet over the limit', async () => {
    const broker = await start();
    const client = await connectDevice(broker.port, 'd1', 'password-one');
    const closed = new Promise<void>((resolve) => client.once('close', resolve));
    client.on('error', () => undefined);
    client.publish(deviceTopic(FLEET, 'd1', 'telemetry'), Buffer.alloc(1024 * 1024), { qos: 0 });
    await closed;
    expect(client.connected).toBe(false);
    client.end(true);
  });

  it('takes no more connections than its limit', async () => {
    const broker = await start({ maxConnections: 1 });
    const client = await connectDevice(broker.port, 'd1', 'password-one');
    expect(await refused(broker.port, 'd2', 'password-two')).toBe(true);
    client.end(true);
  });

  it('grants a device so many subscriptions and no more, and others for those it gives up', async () => {
    const broker = await start();
    const client = await connectDevice(broker.port, 'd1', 'password-one');
    const filters = (from: number): string[] => Array.from({ length: 300 }, (_, i) => blobTopic(FLEET, '0'.repeat(64), from + i));
    const granted = async (topics: string[]): Promise<number> => {
      // The codes as the broker sent them (MQTT 3.1.1, 3.9.3).
      const codes = new Promise<readonly unknown[]>((resolve) =>
        client.once('packetreceive', (packet) => resolve(packet.cmd === 'suback' ? packet.granted : [])),
      );
      await client.subscribeAsync(topics, { qos: 1 }).catch(() => undefined);
      return (await codes).filter((code) => code === 1).length;
    };
    expect(await granted(filters(0))).toBe(256);
    expect(await granted(filters(0))).toBe(256);
    expect(await granted(filters(1_000))).toBe(0);
    await client.unsubscribeAsync(filters(0));
    expect(await granted(filters(1_000))).toBe(256);
    await client.endAsync();
  });

  it('cuts a device off when told to', async () => {
    const broker = await start();
    const client = await connectDevice(broker.port, 'd1', 'password-one');
    const closed = new Promise<void>((resolve) => client.once('close', resolve));
    client.on('error', () => undefined);
    broker.disconnect('d1');
    await closed;
    expect(client.connected).toBe(false);
    client.end(true);
  });
});

/** True when the broker does not let this client in. */
function refused(port: number, device: string | undefined, password: string | undefined, options: IClientOptions = {}): Promise<boolean> {
  const login = device === undefined ? {} : { clientId: device, username: device };
  const client = connect(`mqtt://127.0.0.1:${port}`, {
    ...login,
    ...(password === undefined ? {} : { password }),
    protocolVersion: 4,
    reconnectPeriod: 0,
    ...options,
  });
  return new Promise((resolve) => {
    const end = (answer: boolean) => (): void => {
      client.end(true);
      resolve(answer);
    };
    client.on('error', end(true));
    client.once('close', end(true));
    client.once('connect', end(false));
  });
}

function newLink(broker: TestBroker): BrokerLink {
  return new BrokerLink({
    connection: broker.hub,
    clientId: 'hub-test',
    clock: systemClock,
    logger: silentLogger,
    random: Math.random,
    backoff: { base: 20, max: 100 },
  });
}

class Listener {
  readonly got: string[] = [];
  readonly client: MqttClient;

  constructor(client: MqttClient) {
    this.client = client;
    client.on('message', (_topic, payload) => this.got.push(payload.toString()));
    client.on('error', () => undefined);
  }

  async subscribe(filter: string): Promise<void> {
    await this.client.subscribeAsync(filter, { qos: 1 });
  }
}
