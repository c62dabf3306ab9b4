import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '#shared/protocol/codec.js';
import { type EnrollResponse, enrollResponseSchema } from '#shared/protocol/enrolment.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { connectDevice } from '../../kit/brokers.js';
import { Fleet } from '../../kit/fleet.js';
import { enrolRequest, TestDevice } from '../../kit/fleet-hub.js';
import { eventOf, telemetryOf } from '../../kit/messages.js';
import { Processes } from '../../kit/processes.js';
import { until } from '../../kit/until.js';

let folder: string;
let processes: Processes;
let fleet: Fleet;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-hub-process-'));
  processes = new Processes();
  fleet = new Fleet({ folder, processes });
  await fleet.startHub();
  await fleet.initTrust();
});
afterAll(async () => {
  await processes.close();
  rmSync(folder, { recursive: true, force: true });
});

async function call(method: string, route: string, body?: unknown, token = fleet.hub.token): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${fleet.hub.url}/api/v1${route}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

async function enrol(device: string): Promise<EnrollResponse> {
  const created = await call('POST', '/enrolment-tokens', { name: `for ${device}`, labels: { tier: 'gold' } });
  expect(created.status).toBe(201);
  const { token } = created.body as { token: string };
  const answer = await call('POST', '/enroll', enrolRequest({ token, device, labels: { site: 'lab' } }), 'nobody');
  expect(answer.status).toBe(201);
  return enrollResponseSchema.parse(answer.body);
}

async function connect(answer: EnrollResponse): Promise<TestDevice> {
  const device = new TestDevice(answer, await connectDevice(Number(new URL(answer.mqtt.url).port), answer.device, answer.mqtt.password));
  await device.listen(deviceTopic(answer.fleet, answer.device, 'ack'));
  return device;
}

describe('a hub process', () => {
  it('counts every record once while it is killed again and again (R3)', async () => {
    const answer = await enrol('steady');
    const total = 600;
    const unacked = new Set(Array.from({ length: total }, (_, index) => index + 1));
    for (let kills = 0; unacked.size > 0; kills += 1) {
      const device = await connect(answer);
      const before = unacked.size;
      device.client.on('message', (_topic, payload) => {
        for (const { seq } of decodeMessage('ack', payload, answer.device).records) unacked.delete(seq);
      });
      for (const seq of unacked) {
        const payload = encodeMessage('telemetry', telemetryOf(answer.device, { seq, values: [seq] }));
        device.client.publish(deviceTopic(answer.fleet, answer.device, 'telemetry'), Buffer.from(payload), { qos: 1 });
      }
      if (kills === 4) {
        await until('every acknowledgement', () => unacked.size === 0);
        device.client.end(true);
        break;
      }
      // The first acknowledgement shows a commit; others of the same moment are cut off on their way.
      await until('an acknowledgement', () => unacked.size < before);
      await fleet.hubProcess.kill();
      device.client.end(true);
      await fleet.startHub();
    }
    const metrics = await call('GET', '/metrics/models/vad');
    expect(metrics.body).toMatchObject({
      versions: [{ version: 1, predictions: total, signals: { latency: { count: total, max: total } } }],
    });
  });

  it('shows devices, sets labels, lists events, and remembers who did what', async () => {
    const device = await connect(await enrol('cam-1'));
    await device.say(deviceTopic(device.answer.fleet, device.id, 'event'), encodeMessage('event', eventOf('cam-1', 1)));
    await until('the acknowledgement', () => device.got.length > 0);
    expect((await call('GET', '/devices?selector=site%3Dlab,tier%3Dgold')).body).toMatchObject({
      devices: [{ id: 'cam-1' }, { id: 'steady' }],
    });
    expect((await call('PATCH', '/devices/cam-1/labels', { room: 'r1', site: null })).body).toMatchObject({
      labels: { room: 'r1', tier: 'gold' },
      deviceLabels: { site: 'lab' },
    });
    expect((await call('PATCH', '/devices/cam-1/labels', { 'not a key!': 'x' })).status).toBe(400);
    expect((await call('GET', '/events?device=cam-1')).body).toMatchObject({
      events: [{ kind: 'agent.started', device: 'cam-1', seq: 1 }],
    });
    expect(await call('GET', '/devices/nobody')).toMatchObject({ status: 404, body: { code: 'DEVICE_UNKNOWN' } });
    expect(await call('POST', '/deployments', { model: 'vad', version: 1 })).toMatchObject({
      status: 404,
      body: { code: 'VERSION_UNKNOWN' },
    });
    expect(await call('GET', '/devices?selector=a%20in')).toMatchObject({ status: 400, body: { code: 'SELECTOR_INVALID' } });
    const closed = new Promise<void>((resolve) => device.client.once('close', resolve));
    expect((await call('DELETE', '/devices/cam-1')).status).toBe(204);
    await closed;
    const audit = (await call('GET', '/audit?limit=20')).body as { records: { actor: string; action: string; target: string }[] };
    expect(audit.records.map(({ actor, action, target }) => `${actor} ${action} ${target}`)).toEqual(
      expect.arrayContaining([
        'first admin device:remove devices/cam-1',
        'first admin device:write devices/cam-1',
        'device:cam-1 enroll devices/cam-1',
      ]),
    );
  });

  it('slows down who guesses enrolment tokens', async () => {
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 25; attempt += 1) {
      statuses.push((await call('POST', '/enroll', enrolRequest({ token: `skt_${'A'.repeat(43)}` }), 'nobody')).status);
    }
    expect(statuses.slice(0, 5)).toEqual([401, 401, 401, 401, 401]);
    expect(statuses.at(-1)).toBe(429);
  });
});
