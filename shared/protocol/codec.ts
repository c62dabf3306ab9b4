import { decode as decodeCbor, encode as encodeCbor } from 'cborg';
import type { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow, parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import {
  type Ack,
  ackSchema,
  type Cmd,
  cmdSchema,
  type DeviceEvent,
  eventSchema,
  type FetchRequest,
  fetchSchema,
  type Held,
  heldSchema,
  type Presence,
  presenceSchema,
  type Reported,
  reportedSchema,
  type Telemetry,
  telemetrySchema,
} from './messages.js';
import type { DeviceChannel } from './topics.js';

/** Channels whose payload is one message; `desired` is a signed envelope that only shared/trust opens. */
export type MessageChannel = Exclude<DeviceChannel, 'desired'>;

interface Messages {
  readonly cmd: Cmd;
  readonly ack: Ack;
  readonly reported: Reported;
  readonly presence: Presence;
  readonly telemetry: Telemetry;
  readonly event: DeviceEvent;
  readonly fetch: FetchRequest;
  readonly held: Held;
}
export type MessageOf<C extends MessageChannel> = Messages[C];

/** Schema, form and largest size of each channel's payload. */
const CHANNELS: {
  readonly [C in MessageChannel]: { readonly schema: z.ZodType<Messages[C]>; readonly form: 'json' | 'cbor'; readonly maxBytes: number };
} = {
  cmd: { schema: cmdSchema, form: 'json', maxBytes: LIMITS.controlMessageBytes },
  ack: { schema: ackSchema, form: 'json', maxBytes: LIMITS.controlMessageBytes },
  reported: { schema: reportedSchema, form: 'json', maxBytes: LIMITS.reportedBytes },
  presence: { schema: presenceSchema, form: 'json', maxBytes: LIMITS.controlMessageBytes },
  telemetry: { schema: telemetrySchema, form: 'cbor', maxBytes: LIMITS.telemetryBytes },
  event: { schema: eventSchema, form: 'json', maxBytes: LIMITS.eventBytes },
  fetch: { schema: fetchSchema, form: 'json', maxBytes: LIMITS.fetchBytes },
  held: { schema: heldSchema, form: 'json', maxBytes: LIMITS.heldBytes },
};

/**
 * Bytes of a message for its channel: UTF-8 JSON, or deterministic CBOR (RFC 8949, 4.2) for telemetry. Refuses what the
 * receiver would refuse (`PROTOCOL_MESSAGE_INVALID`, `INPUT_TOO_LARGE`).
 */
export function encodeMessage<C extends MessageChannel>(channel: C, message: MessageOf<C>): Uint8Array {
  const { schema, form, maxBytes } = CHANNELS[channel];
  const valid = narrow(schema, message, `${channel} message`, 'PROTOCOL_MESSAGE_INVALID');
  const bytes = form === 'cbor' ? encodeCbor(valid) : new TextEncoder().encode(JSON.stringify(valid));
  checkSize(channel, bytes, maxBytes);
  return bytes;
}

/**
 * Reads a message that came on `device`'s channel: size, syntax, schema, and that the device inside is the device of the
 * topic (`PROTOCOL_DEVICE_MISMATCH`). Fields of a newer minor version are dropped.
 */
export function decodeMessage<C extends MessageChannel>(channel: C, bytes: Uint8Array, device: string): MessageOf<C> {
  const { schema, form, maxBytes } = CHANNELS[channel];
  const what = `${channel} message`;
  const message =
    form === 'cbor'
      ? narrow(schema, parseCbor(channel, bytes, maxBytes), what, 'PROTOCOL_MESSAGE_INVALID')
      : parseJson(schema, bytes, { what, maxBytes, code: 'PROTOCOL_MESSAGE_INVALID' });
  // A payload is never trusted by its topic alone.
  if (message.device !== device) {
    throw new SkerryError('PROTOCOL_DEVICE_MISMATCH', `a ${what} on the topic of ${device} names ${message.device}`);
  }
  return message;
}

function parseCbor(channel: MessageChannel, bytes: Uint8Array, maxBytes: number): unknown {
  checkSize(channel, bytes, maxBytes);
  try {
    return decodeCbor(bytes, {
      strict: true,
      allowIndefinite: false,
      allowUndefined: false,
      allowInfinity: false,
      allowNaN: false,
      allowBigInt: false,
      rejectDuplicateMapKeys: true,
    });
  } catch (cause) {
    throw new SkerryError('PROTOCOL_MESSAGE_INVALID', `${channel} message is not CBOR`, { cause });
  }
}

function checkSize(channel: MessageChannel, bytes: Uint8Array, maxBytes: number): void {
  if (bytes.byteLength > maxBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${channel} message has ${bytes.byteLength} bytes, at most ${maxBytes} are accepted`);
  }
}
