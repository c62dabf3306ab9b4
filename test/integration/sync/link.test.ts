import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { LinkStatus } from '#agent/sync/contract.js';
import type { LinkOptions, MqttLink } from '#agent/sync/link.js';
import { hashPassword } from '#hub/broker/credentials.js';
import { EmbeddedBroker } from '#hub/broker/embedded.js';
import { MQTT_PATH } from '#shared/protocol/mqtt-path.js';
import { silentLogger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { TestBroker } from '../../kit/broker.js';
import { deviceLink } from '../../kit/device-link.js';
import { freePort } from '../../kit/fleet.js';
import { until } from '../../kit/until.js';
import { VirtualClock } from '../../kit/virtual-clock.js';

const device = 'lab-1' as DeviceId;
const presenceTopic = deviceTopic('test', device, 'presence');
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function startBroker(): Promise<TestBroker> {
  const broker = await TestBroker.start();
  cleanups.push(() => broker.kill());
  return broker;
}

function makeLink(url: string, options: Partial<LinkOptions> = {}): { link: MqttLink; history: LinkStatus[] } {
  const link = deviceLink(url, { backoff: { base: 40, max: 200 }, ...options });
  const history: LinkStatus[] = [];
  link.onStatus((status) => history.push(status));
  cleanups.push(() => link.close());
  return { link, history };
}

const presences = (broker: TestBroker) => broker.on(presenceTopic).map((payload) => decodeMessage('presence', payload, device));
const online = (link: MqttLink): Promise<boolean> => until('online', () => link.status.kind === 'online');

describe('MqttLink', () => {
  it('subscribes and publishes its birth before it says online', async () => {
    const broker = await startBroker();
    const { link, history } = makeLink(broker.url);
    const got: string[] = [];
    link.subscribe(deviceTopic('test', device, 'cmd'), (_topic, payload) => void got.push(Buffer.from(payload).toString()));
    await broker.publish(deviceTopic('test', device, 'cmd'), 'retained', { retain: true });
    await link.start();
    await online(link);
    expect(history.map((status) => status.kind)).toEqual(['connecting', 'online']);
    expect(presences(broker)).toMatchObject([{ state: 'online', boot: 1, connection: 1 }]);
    await until('the retained message', () => got.length === 1);
    await broker.publish(deviceTopic('test', device, 'cmd'), 'live');
    await until('the live message', () => got.length === 2);
    expect(got).toEqual(['retained', 'live']);
  });

  it("goes by WebSocket where the broker's own port does not answer, and stays with what worked", async () => {
    const broker = new EmbeddedBroker({
      fleet: 'test',
      listen: { host: '127.0.0.1', port: 0 },
      logger: silentLogger,
      fetchPolicy: { mayFetch: () => Promise.resolve(true) },
      credentials: { isCopy: () => Promise.resolve(false), passwordHash: () => Promise.resolve(hashPassword('password')) },
    });
    await broker.start();
    cleanups.push(() => broker.close());
    const server = createHttpServer();
    broker.attachTo(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    const web = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const blocked = `mqtt://127.0.0.1:${await freePort()}`;
    const { link, history } = makeLink(blocked, {
      broker: () => ({ urls: [blocked, `ws://${web}${MQTT_PATH}`], username: device, password: 'password' }),
    });
    await link.start();
    await online(link);
    expect(link.status).toMatchObject({ broker: web });
    const said = history.length;
    broker.disconnect(device);
    // It may be online again before anybody looks.
    await until('offline', () => history.slice(said).some(({ kind }) => kind === 'offline'));
    await online(link);
    expect(history.slice(said).map(({ kind }) => kind)).toEqual(['offline', 'connecting', 'online']);
    expect(link.status).toMatchObject({ broker: web });
  });

  it('comes back after the broker was killed, with a growing connection number and its subscriptions', async () => {
    const broker = await startBroker();
    const { link } = makeLink(broker.url);
    const got: string[] = [];
    link.subscribe('a/b/+', (topic) => void got.push(topic));
    await link.start();
    await online(link);
    await broker.kill();
    await until('offline', () => link.status.kind === 'offline');
    await expect(link.publish('x', new Uint8Array())).rejects.toMatchObject({ code: 'SYNC_OFFLINE' });
    await broker.restart();
    await online(link);
    const [first, second] = presences(broker).filter((presence) => presence.state === 'online');
    expect(second!.connection).toBeGreaterThan(first!.connection);
    expect(second!.session).not.toBe(first!.session);
    await broker.publish('a/b/c', '');
    await until('the message', () => got.includes('a/b/c'));
  });

  it('leaves a will that carries the numbers of the session it speaks for', async () => {
    const broker = await startBroker();
    const { link } = makeLink(broker.url);
    await link.start();
    await online(link);
    broker.disconnectAll();
    await until('the next birth', () => presences(broker).filter((presence) => presence.state === 'online').length === 2);
    await until('the will', () => presences(broker).some((presence) => presence.state === 'offline'));
    const [birth, ...later] = presences(broker);
    const will = later.find((presence) => presence.state === 'offline')!;
    expect({ ...will, at: '', state: '' }).toEqual({ ...birth, at: '', state: '' });
  });

  it('says goodbye when closed, and close is idempotent', async () => {
    const broker = await startBroker();
    // It gives its farewell a second; here that does not pass.
    const { link } = makeLink(broker.url, { clock: new VirtualClock() });
    await link.start();
    await online(link);
    await Promise.all([link.close(), link.close()]);
    expect(presences(broker).at(-1)).toMatchObject({ state: 'offline', connection: 1 });
    expect(link.status.kind).toBe('offline');
  });

  it('keeps trying with growing delays while nobody listens', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    await new Promise((resolve) => taken.close(resolve));
    const { link, history } = makeLink(`mqtt://127.0.0.1:${port}`);
    await link.start();
    await until('four attempts', () => history.filter((status) => status.kind === 'offline').length >= 4);
    const delays = history.flatMap((status) => (status.kind === 'offline' ? [(status.nextAttemptAt ?? 0) - status.since] : []));
    expect(delays.slice(0, 4)).toEqual([20, 40, 80, 100]);
    expect(history.find((status) => status.kind === 'offline')?.reason).toContain('ECONNREFUSED');
  });

  it('reports a refusal of its credentials and tries again', async () => {
    const broker = await startBroker();
    broker.authenticate = () => false;
    const { link, history } = makeLink(broker.url);
    await link.start();
    await until('refused twice', () => history.filter((status) => status.kind === 'offline').length >= 2);
    expect(history.find((status) => status.kind === 'offline')?.reason).toMatch(/not authorized|bad user/i);
    broker.authenticate = () => true;
    await online(link);
  });

  it('reads no further while a handler is busy, and loses nothing', async () => {
    const broker = await startBroker();
    const { link } = makeLink(broker.url);
    let busy = 0;
    let most = 0;
    const got: number[] = [];
    link.subscribe('work/+', async (topic) => {
      busy += 1;
      most = Math.max(most, busy);
      await new Promise((resolve) => setTimeout(resolve, 2));
      busy -= 1;
      got.push(Number(topic.slice(5)));
    });
    await link.start();
    await online(link);
    await Promise.all(Array.from({ length: 40 }, (_, index) => broker.publish(`work/${index}`, '')));
    await until('all', () => got.length === 40);
    expect(most).toBe(1);
    expect(got).toEqual(Array.from({ length: 40 }, (_, index) => index));
  });

  it('refuses an address that is no broker as a setting, without ending', async () => {
    const { link, history } = makeLink('http://127.0.0.1:1');
    await link.start();
    await until('told', () => history.some((status) => status.kind === 'offline'));
    expect(history.find((status) => status.kind === 'offline')?.reason).toContain('not the URL of an MQTT broker');
  });
});
