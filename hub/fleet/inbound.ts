import type { BrokerPort } from '#hub/broker/link.js';
import type { Ingest } from '#hub/telemetry/ingest.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { type DeviceChannel, fleetFilter, parseTopic } from '#shared/protocol/topics.js';
import type { BlobServer } from './blob-server.js';
import type { DeviceStates } from './device-states.js';
import type { HeldByDevices } from './held.js';
import type { Leftovers } from './leftovers.js';

export interface InboundDeps {
  readonly link: BrokerPort;
  readonly fleet: string;
  readonly states: DeviceStates;
  readonly blobs: BlobServer;
  readonly ingest: Ingest;
  readonly held: HeldByDevices;
  readonly leftovers: Leftovers;
  readonly logger: Logger;
}

/** Subscribes to everything devices say and hands each message to who it is for; what is not well formed goes no further. */
export function connectInbound(deps: InboundDeps): void {
  const { states, blobs, ingest, held } = deps;
  on(deps, 'presence', (device, payload, replayed) => states.presence(decodeMessage('presence', payload, device), replayed));
  on(deps, 'reported', (device, payload, replayed) => states.reported(decodeMessage('reported', payload, device), replayed));
  on(deps, 'held', (device, payload) => void held.shown(device, decodeMessage('held', payload, device)));
  on(deps, 'fetch', (device, payload) => void blobs.request(decodeMessage('fetch', payload, device)));
  // These two are answered record by record, malformed ones too, so the ingest reads them itself.
  on(deps, 'event', (device, payload) => void ingest.offer('event', device, payload));
  on(deps, 'telemetry', (device, payload) => void ingest.offer('telemetry', device, payload));
}

function on(
  { link, fleet, logger, leftovers }: InboundDeps,
  channel: DeviceChannel,
  handle: (device: DeviceId, payload: Uint8Array, replayed: boolean) => void,
): void {
  link.subscribe(fleetFilter(fleet, channel), (topic, payload, replayed) => {
    // A retained message that was cleared has nothing to say.
    if (payload.byteLength === 0) return;
    const parsed = parseTopic(topic);
    const device = parsed?.kind === 'device' ? deviceIdSchema.safeParse(parsed.device).data : undefined;
    if (device === undefined) {
      logger.warn({ topic: topic.slice(0, 256) }, 'message on a topic whose shard or device id is wrong');
      return;
    }
    leftovers.heard(device, channel);
    try {
      handle(device, payload, replayed);
    } catch (cause) {
      const error = asSkerryError(cause, 'PROTOCOL_MESSAGE_INVALID');
      logger.warn({ device, channel, code: error.code, cause: error.message }, 'message ignored');
    }
  });
}
