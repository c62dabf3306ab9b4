import { DEVICE_CHANNELS, type DeviceChannel, deviceTopic, parseTopic, TOPIC_ROOT } from '#shared/protocol/topics.js';

/** Who is on the other end of an MQTT connection, once authenticated. */
export type Identity =
  | { readonly kind: 'hub'; readonly fleet: string }
  | { readonly kind: 'device'; readonly fleet: string; readonly device: string };

export type TopicAction = 'publish' | 'publish-retained' | 'will' | 'subscribe';

/** What a rule says: yes, no, or only for a device that may fetch the blob with this digest. */
export type Ruling = boolean | { readonly blob: string };

/**
 * The topic rules of the broker, all of them: what `identity` may do with `topic` (a filter when it subscribes). Whatever
 * no rule names is refused. Everything a device may touch it reaches by spelling its own id, so no wildcard ever stands
 * where a device id does.
 */
export function allowed(identity: Identity, action: TopicAction, topic: string): Ruling {
  if (identity.kind === 'hub') return allowedToHub(identity.fleet, action, topic);
  return action === 'subscribe' ? mayListen(identity, topic) : maySay(identity, action, topic);
}

function allowedToHub(fleet: string, action: TopicAction, topic: string): boolean {
  if (!topic.startsWith(`${TOPIC_ROOT}/${fleet}/`)) return false;
  return action === 'subscribe' || !/[+#]/.test(topic);
}

type DeviceIdentity = Extract<Identity, { kind: 'device' }>;

function maySay(identity: DeviceIdentity, action: Exclude<TopicAction, 'subscribe'>, topic: string): boolean {
  const parsed = parseTopic(topic);
  if (parsed?.kind !== 'device' || parsed.fleet !== identity.fleet || parsed.device !== identity.device) return false;
  if (action === 'will') return parsed.channel === 'presence';
  const channel = DEVICE_CHANNELS[parsed.channel];
  return channel.direction === 'up' && (action === 'publish' || channel.retained);
}

function mayListen(identity: DeviceIdentity, filter: string): Ruling {
  if (DOWN_CHANNELS.some((channel) => filter === deviceTopic(identity.fleet, identity.device, channel))) return true;
  const shared = `${TOPIC_ROOT}/${identity.fleet}/`;
  if (!filter.startsWith(shared)) return false;
  const rest = filter.slice(shared.length);
  const blob = BLOB_FILTER.exec(rest)?.[1];
  return blob === undefined ? TRUST_FILTER.test(rest) : { blob };
}

const DOWN_CHANNELS: readonly DeviceChannel[] = ['desired', 'cmd', 'ack'];
/** `trust/+`, `trust/{file}`. */
const TRUST_FILTER = /^trust\/(?:\+|[a-z0-9._-]{1,165})$/;
/** `blob/{digest}/+`, `blob/{digest}/{index}`. No wildcard stands for the digest: a device listens to what it may fetch alone. */
const BLOB_FILTER = /^blob\/([0-9a-f]{64})\/(?:\+|\d{1,9})$/;
