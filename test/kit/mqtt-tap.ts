import type { TcpProxy } from './tcp-proxy.js';

/** A PUBLISH that passed a cable, with the direction it took. */
export interface TappedMessage {
  readonly from: 'client' | 'target';
  readonly connection: number;
  readonly topic: string;
  readonly payload: Buffer;
}

/** Reads the MQTT 3.1.1 messages that pass a cable, whole ones only, and writes them down. */
export function tapMqtt(cable: TcpProxy): TappedMessage[] {
  const seen: TappedMessage[] = [];
  const rests = new Map<string, Buffer>();
  cable.tap = (data, from, connection) => {
    const stream = `${connection} ${from}`;
    let rest = Buffer.concat([rests.get(stream) ?? Buffer.alloc(0), data]);
    for (let packet = firstPacket(rest); packet !== undefined; packet = firstPacket(rest)) {
      rest = rest.subarray(packet.length);
      // Type 3 is PUBLISH (MQTT 3.1.1, 3.3).
      if (packet.first >> 4 === 3) seen.push({ from, connection, ...readPublish(packet.first, packet.body) });
    }
    rests.set(stream, rest);
  };
  return seen;
}

/** Fixed header and body of the packet a stream begins with (MQTT 3.1.1, 2.2); undefined until it is all there. */
function firstPacket(stream: Buffer): { readonly first: number; readonly body: Buffer; readonly length: number } | undefined {
  let remaining = 0;
  for (let at = 1; at <= 4 && at < stream.length; at += 1) {
    const byte = stream.readUInt8(at);
    remaining += (byte & 0x7f) * 128 ** (at - 1);
    if ((byte & 0x80) !== 0) continue;
    const length = at + 1 + remaining;
    if (stream.length < length) return undefined;
    return { first: stream.readUInt8(0), body: Buffer.from(stream.subarray(at + 1, length)), length };
  }
  return undefined;
}

function readPublish(first: number, body: Buffer): { readonly topic: string; readonly payload: Buffer } {
  const end = 2 + body.readUInt16BE(0);
  const qos = (first >> 1) & 3;
  return { topic: body.toString('utf8', 2, end), payload: body.subarray(qos === 0 ? end : end + 2) };
}
