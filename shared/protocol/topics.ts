import { createHash } from 'node:crypto';

/** First levels of every topic; the number is the protocol's major version. */
export const TOPIC_ROOT = 'skerry/v1';

/** Channels below a device's own prefix, and which way each goes. */
export const DEVICE_CHANNELS = {
  desired: { direction: 'down', retained: true, qos: 1 },
  cmd: { direction: 'down', retained: false, qos: 1 },
  ack: { direction: 'down', retained: false, qos: 1 },
  reported: { direction: 'up', retained: true, qos: 1 },
  presence: { direction: 'up', retained: true, qos: 1 },
  telemetry: { direction: 'up', retained: false, qos: 1 },
  event: { direction: 'up', retained: false, qos: 1 },
  fetch: { direction: 'up', retained: false, qos: 1 },
  held: { direction: 'up', retained: false, qos: 1 },
} as const satisfies Readonly<Record<string, { direction: 'up' | 'down'; retained: boolean; qos: 0 | 1 }>>;
export type DeviceChannel = keyof typeof DEVICE_CHANNELS;

/** Channels whose last message the broker keeps. */
export const RETAINED_CHANNELS: readonly DeviceChannel[] = Object.keys(DEVICE_CHANNELS)
  .filter(isChannel)
  .filter((channel) => DEVICE_CHANNELS[channel].retained);

/** Two hex digits of SHA-256(device id): hubs divide a fleet by subscribing to shards. */
export function shardOf(device: string): string {
  return createHash('sha256').update(device).digest('hex').slice(0, 2);
}

export function devicePrefix(fleet: string, device: string): string {
  return `${TOPIC_ROOT}/${fleet}/${shardOf(device)}/${device}`;
}

export function deviceTopic(fleet: string, device: string, channel: DeviceChannel): string {
  return `${devicePrefix(fleet, device)}/${channel}`;
}

/** Subscription filter for one channel of every device of a fleet. */
export function fleetFilter(fleet: string, channel: DeviceChannel): string {
  return `${TOPIC_ROOT}/${fleet}/+/+/${channel}`;
}

/** `trust` and `blob` have more than two characters, so they never collide with a shard. */
export function trustTopic(fleet: string, file: string): string {
  return `${TOPIC_ROOT}/${fleet}/trust/${file}`;
}

export function trustFilter(fleet: string): string {
  return `${TOPIC_ROOT}/${fleet}/trust/+`;
}

export function blobTopic(fleet: string, digest: string, index: number): string {
  return `${TOPIC_ROOT}/${fleet}/blob/${digest}/${index}`;
}

export function blobFilter(fleet: string, digest: string): string {
  return `${TOPIC_ROOT}/${fleet}/blob/${digest}/+`;
}

type ParsedTopic =
  | { readonly kind: 'device'; readonly fleet: string; readonly shard: string; readonly device: string; readonly channel: DeviceChannel }
  | { readonly kind: 'trust'; readonly fleet: string; readonly file: string }
  | { readonly kind: 'blob'; readonly fleet: string; readonly digest: string; readonly index: number };

/** Reads a topic back; `undefined` for one that is not ours or whose shard does not fit its device. */
export function parseTopic(topic: string): ParsedTopic | undefined {
  const [root, version, fleet, first, second, third, ...rest] = topic.split('/');
  if (`${root}/${version}` !== TOPIC_ROOT || fleet === undefined || first === undefined || second === undefined || rest.length > 0)
    return undefined;
  if (first === 'trust') return third === undefined ? { kind: 'trust', fleet, file: second } : undefined;
  if (third === undefined) return undefined;
  if (first === 'blob') {
    return /^[0-9a-f]{64}$/.test(second) && /^\d{1,9}$/.test(third)
      ? { kind: 'blob', fleet, digest: second, index: Number(third) }
      : undefined;
  }
  if (!isChannel(third) || shardOf(second) !== first) return undefined;
  return { kind: 'device', fleet, shard: first, device: second, channel: third };
}

function isChannel(level: string): level is DeviceChannel {
  return Object.hasOwn(DEVICE_CHANNELS, level);
}
