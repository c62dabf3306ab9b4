import { Socket } from 'node:net';
import type { MqttClient } from 'mqtt';
import { type Millis, seconds } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { BrokerAddress } from './contract.js';

export interface IncomingMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
}

export interface SessionOptions {
  readonly broker: Omit<BrokerAddress, 'urls'> & { readonly url: string };
  readonly clientId: string;
  readonly keepalive: Millis;
  readonly will: { readonly topic: string; readonly payload: Uint8Array };
  /** The message is acknowledged, and the next one read from the socket, once `taken` is called. */
  readonly onMessage: (message: IncomingMessage, taken: () => void) => void;
}

/** Opens one MQTT 3.1.1 connection with the `mqtt` package, loaded only now; retries are the caller's. */
export async function openMqtt(options: SessionOptions): Promise<MqttClient> {
  const [{ connect }, { default: packets }] = await Promise.all([import('mqtt'), import('mqtt-packet')]);
  // Its table of the 65,536 two-byte numbers as buffers, made with the first packet, is 11 MB and 70 ms for nothing an agent needs.
  packets.writeToStream.cacheNumbers = false;
  const { broker, will } = options;
  if (!/^(mqtt|mqtts|ws|wss):\/\//.test(broker.url))
    throw new SkerryError('CONFIG_INVALID', `not the URL of an MQTT broker: ${broker.url}`);
  const client = connect(broker.url, {
    clientId: options.clientId,
    clean: true,
    protocolVersion: 4,
    keepalive: Math.max(1, Math.round(options.keepalive / 1_000)),
    connectTimeout: seconds(15),
    // The library knows no jitter and no growing delays.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
    ...(broker.username === undefined ? {} : { username: broker.username }),
    ...(broker.password === undefined ? {} : { password: broker.password }),
    ...(broker.ca === undefined ? {} : { ca: broker.ca }),
  });
  // Small requests that wait for an answer: Nagle's algorithm would hold each for a delayed ACK.
  if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  // Called for every message before its PUBACK; holding the callback back holds the socket back.
  client.handleMessage = (packet, callback) => {
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    options.onMessage({ topic: packet.topic, payload, retained: packet.retain }, () => callback());
  };
  return client;
}
