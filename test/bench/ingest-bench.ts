import path from 'node:path';
import { readFileSync } from 'node:fs';
import { encode } from 'cborg';
import mqtt from 'mqtt';
import { enroll } from '#agent/sync/enroll.js';
import type { Identity } from '#agent/sync/identity.js';
import { systemClock } from '#shared/kernel/clock.js';
import { deviceIdSchema } from '#shared/protocol/device.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { deviceTopic } from '#shared/protocol/topics.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import type { Fleet } from '../kit/fleet.js';
import { type Figure, plain } from './figure.js';

const DEVICES = 40;
const WINDOW = 16;
const SECONDS = 10;
const REPORT_EVERY_SECONDS = 60;

/**
 * How many telemetry records a hub commits and acknowledges per second: real MQTT connections, each with a window of unacknowledged
 * records as an agent's outbox keeps, each record a minute of one model with three sketches.
 */
export async function benchIngest(fleet: Fleet): Promise<readonly Figure[]> {
  const { token } = (await fleet.command(['token', 'create', 'enrolment', '--uses', `${DEVICES}`])) as { token: string };
  const identities: Identity[] = [];
  for (let i = 0; i < DEVICES; i += 1) {
    const { identity } = await enroll({
      data: path.join(fleet.folder, 'load', `load-${i}`),
      hub: fleet.hub.url,
      token,
      name: deviceIdSchema.parse(`load-${i}`),
      labels: { site: 'bench' },
      capabilities: {
        os: 'linux',
        arch: 'x64',
        cpus: 1,
        memoryBytes: 1e9,
        providers: ['cpu'],
        runtime: { name: 'onnxruntime', version: '1.30.0' },
      },
      agentVersion: 'bench',
      clock: systemClock,
    });
    identities.push(identity);
  }
  const senders = await Promise.all(identities.map((identity) => Sender.connect(identity)));
  for (const sender of senders) sender.fill();
  await pause(2);
  const before = { acked: ackedBy(senders), cpu: cpuSeconds(fleet.hubProcess.pid), at: performance.now() };
  await pause(SECONDS);
  const seconds = (performance.now() - before.at) / 1000;
  const rate = (ackedBy(senders) - before.acked) / seconds;
  const cores = (cpuSeconds(fleet.hubProcess.pid) - before.cpu) / seconds;
  await Promise.all(senders.map((sender) => sender.close()));
  return [
    plain('telemetry records one hub commits', rate, '/s'),
    plain('hub CPU at that rate', cores, 'cores'),
    plain('devices per hub at one report a minute, telemetry alone', rate * REPORT_EVERY_SECONDS, 'devices'),
  ];
}

/** One device's outbox, without the device. */
class Sender {
  readonly #identity: Identity;
  readonly #client: mqtt.MqttClient;
  readonly #sketch = sampleSketch();
  #seq = 0;
  acked = 0;

  private constructor(identity: Identity, client: mqtt.MqttClient) {
    this.#identity = identity;
    this.#client = client;
  }

  static async connect(identity: Identity): Promise<Sender> {
    const { url, username, password } = identity.mqtt;
    const client = await mqtt.connectAsync(url, { clientId: identity.device, username, password, reconnectPeriod: 0 });
    const sender = new Sender(identity, client);
    client.on('message', (_topic, payload) => {
      const { records } = decodeMessage('ack', payload, identity.device);
      sender.acked += records.length;
      for (const _record of records) sender.#send();
    });
    await client.subscribeAsync(deviceTopic(identity.fleet, identity.device, 'ack'), { qos: 1 });
    return sender;
  }

  fill(): void {
    for (let i = 0; i < WINDOW; i += 1) this.#send();
  }

  close(): Promise<void> {
    return this.#client.endAsync(true);
  }

  #send(): void {
    this.#seq += 1;
    const to = Date.now();
    const sketch = this.#sketch;
    const window = {
      model: 'vad',
      version: 5,
      variant: 'fp32',
      provider: 'cpu',
      predictions: 1000,
      errors: {},
      queue: sketch,
      compute: sketch,
      total: sketch,
    };
    const health = { rssBytes: 1e8, cpuSeconds: 1, freeMemoryBytes: 1e9, diskUsedBytes: 1e7, uptimeSeconds: 100, loopDelayP99Ms: 1 };
    const record = { device: this.#identity.device, boot: 1, seq: this.#seq, from: to - 60_000, to, windows: [window], health };
    this.#client.publish(deviceTopic(this.#identity.fleet, this.#identity.device, 'telemetry'), Buffer.from(encode(record)), { qos: 1 });
  }
}

/** A minute of predictions around one millisecond. */
function sampleSketch(): Uint8Array {
  const sketch = new QuantileSketch();
  for (let i = 0; i < 1000; i += 1) sketch.add(0.8 + 0.4 * Math.sin(i) ** 2);
  return sketch.encode();
}

function ackedBy(senders: readonly Sender[]): number {
  return senders.reduce((sum, sender) => sum + sender.acked, 0);
}

/** User and system time of a process, seconds (proc(5), fields 14 and 15, in ticks of 10 ms). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
