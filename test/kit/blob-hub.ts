import { bitIndices } from '#shared/bundle/bitmap.js';
import { decodeMessage, encodeMessage, type MessageOf } from '#shared/protocol/codec.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { blobTopic, deviceTopic, parseTopic } from '#shared/protocol/topics.js';

/** What the hub of a test needs of a broker; `TestBroker` is one, `hubWire` makes one of a hub's own link. */
export interface HubWire {
  /** Which connection of the hub this is; `undefined` while it has none. An answer begun on one does not go on over the next. */
  readonly session: number | undefined;
  onMessage(listener: (message: { readonly topic: string; readonly payload: Uint8Array }) => void): void;
  publish(topic: string, payload: Uint8Array): Promise<void>;
}

/** Answers fetch requests as a hub would, piece by piece, and can misbehave on order. */
export class BlobHub {
  readonly #broker: HubWire;
  readonly #fleet: string;
  readonly blobs = new Map<string, readonly Uint8Array[]>();
  readonly requests: MessageOf<'fetch'>[] = [];
  /** Every piece sent, in order. */
  readonly sent: number[] = [];
  /** Called before each piece: return other bytes to tamper, `undefined` to lose it, or throw to stop answering. */
  onPiece: (index: number, bytes: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined> = (_index, bytes) => bytes;
  /** Code of a refusal, instead of an answer. */
  refuseWith: { code: string; message: string } | undefined;

  constructor(broker: HubWire, fleet: string) {
    this.#broker = broker;
    this.#fleet = fleet;
    broker.onMessage((message) => this.#onMessage(message));
  }

  #onMessage(message: { readonly topic: string; readonly payload: Uint8Array }): void {
    const topic = parseTopic(message.topic);
    if (topic?.kind !== 'device' || topic.channel !== 'fetch') return;
    const request = decodeMessage('fetch', message.payload, topic.device);
    this.requests.push(request);
    // A connection that breaks in between ends the answer; the device asks again.
    this.#answer(request, topic.device as DeviceId).catch(() => undefined);
  }

  async #answer(request: MessageOf<'fetch'>, device: DeviceId): Promise<void> {
    if (this.refuseWith !== undefined) {
      const cmd = {
        device,
        id: request.id,
        expires: '2100-01-01T00:00:00Z',
        kind: 'fetch-refused',
        digest: request.digest,
        error: this.refuseWith,
      } as const;
      await this.#broker.publish(deviceTopic(this.#fleet, device, 'cmd'), encodeMessage('cmd', cmd));
      return;
    }
    const pieces = this.blobs.get(request.digest);
    if (pieces === undefined) return;
    const { session } = this.#broker;
    for (const index of bitIndices(Buffer.from(request.missing, 'base64'))) {
      const bytes = await this.onPiece(index, pieces[index]!);
      if (session === undefined || this.#broker.session !== session) return;
      if (bytes === undefined) continue;
      await this.#broker.publish(blobTopic(this.#fleet, request.digest, index), bytes);
      this.sent.push(index);
    }
  }
}
