import type { DeviceInbox } from '#hub/broker/device-inbox.js';
import { decodeMessage } from '#shared/protocol/codec.js';
import type { BlobServer } from './blob-server.js';
import type { DeviceStates } from './device-states.js';
import type { HeldByDevices } from './held.js';
import type { Leftovers } from './leftovers.js';

interface InboundDeps {
  readonly inbox: DeviceInbox;
  readonly states: DeviceStates;
  readonly blobs: BlobServer;
  readonly held: HeldByDevices;
  readonly leftovers: Leftovers;
}

/** Hands what devices say to whom it is for. */
export function connectInbound({ inbox, states, blobs, held, leftovers }: InboundDeps): void {
  inbox.onHeard((device, channel) => leftovers.heard(device, channel));
  inbox.on('presence', (device, payload, replayed) => states.presence(decodeMessage('presence', payload, device), replayed));
  inbox.on('reported', (device, payload, replayed) => states.reported(decodeMessage('reported', payload, device), replayed));
  inbox.on('held', (device, payload) => void held.shown(device, decodeMessage('held', payload, device)));
  inbox.on('fetch', (device, payload) => void blobs.request(decodeMessage('fetch', payload, device)));
}
