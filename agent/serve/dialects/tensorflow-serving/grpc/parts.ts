import { SkerryError } from '#shared/kernel/errors.js';
import { ProtobufReader, WIRE } from '#shared/protobuf/reader.js';

/** Fields gone over between two places where the work may be interrupted. */
const FIELDS_AT_ONCE = 1_000;

/** Pieces in which one message may come: Protocol Buffers merges them, and nobody who writes messages makes several. */
const MOST_PIECES = 16;

/** A field of a message that is bytes on the wire: a message, a text, or packed numbers. A view. */
export interface Part {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** The parts with these numbers, in their order; undefined now and then, where the work may be interrupted. Other fields are passed over. */
export function* partsOf(bytes: Uint8Array, numbers: readonly number[]): Generator<Part | undefined, void> {
  const reader = new ProtobufReader(bytes);
  for (let count = 1; reader.hasMore; count++) {
    if (count % FIELDS_AT_ONCE === 0) yield undefined;
    const tag = reader.tag();
    const number = tag >>> 3;
    if ((tag & 7) === WIRE.bytes && numbers.includes(number)) yield { number, bytes: reader.bytes() };
    else reader.skip(tag);
  }
}

/** Adds a piece of one message to those before it. Errors: `INPUT_TOO_LARGE`. */
export function addPiece(pieces: Uint8Array[], bytes: Uint8Array, what: string): void {
  if (pieces.length >= MOST_PIECES) throw new SkerryError('INPUT_TOO_LARGE', `${what} comes in more than ${MOST_PIECES} pieces`);
  pieces.push(bytes);
}
