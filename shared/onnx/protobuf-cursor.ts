import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { asSkerryError } from '#shared/kernel/errors.js';

const WINDOW_BYTES = 64 * 1024;
/** As protobuf's own parsers. */
const MAX_DEPTH = 100;

/** Wire types (protobuf.dev/programming-guides/encoding, "Structure"): varint, 8 bytes, length first, begin and end of a group, 4 bytes. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;

/** Tag of a field: its number and how its value is written. */
export interface Tag {
  readonly field: number;
  readonly wire: number;
}

/** Why a file cannot be read on as protobuf, and where. `ended`: it ends too early, as one does that was not copied whole. */
export class UnreadableProtobuf extends Error {
  readonly at: number;
  readonly ended: boolean;

  constructor(reason: string, at: number, ended = false) {
    super(reason);
    this.name = 'UnreadableProtobuf';
    this.at = at;
    this.ended = ended;
  }
}

/**
 * Reads protobuf from a file through a window of 64 KiB: what is skipped is never read, so a file of gigabytes costs no memory.
 * Reads are synchronous: there are very many tiny ones, and this runs on the publisher's machine and in threads that load models. Takes whatever parsers of
 * protobuf take, groups and numbers of unusual length among it; `UnreadableProtobuf` where they would give up as well.
 */
export class ProtobufCursor {
  readonly #file: number;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #windowStart = 0;
  #windowLength = 0;
  #at = 0;
  readonly size: number;

  constructor(path: string) {
    try {
      this.#file = openSync(path, 'r');
    } catch (cause) {
      throw asSkerryError(cause, 'IO_FAILED');
    }
    this.size = fstatSync(this.#file).size;
  }

  get position(): number {
    return this.#at;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Reads a varint of 64 bits, exactly. */
  integer(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new UnreadableProtobuf('a number has more than ten bytes', this.#at);
  }

  /** Reads a varint; beyond 2^53 it is no longer exact, which no length or field number reaches. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new UnreadableProtobuf('a number has more than ten bytes', this.#at);
  }

  tag(): Tag {
    const value = this.varint();
    const wire = value % 8;
    const field = Math.floor(value / 8);
    if (field === 0 || wire > WIRE.fixed32) throw new UnreadableProtobuf(`no field can have the tag ${value}`, this.#at);
    return { field, wire };
  }

  /** Reads the length of a field of wire type 2 and returns where the field ends, which must be within `end`. */
  end(end: number): number {
    const length = this.varint();
    if (this.#at + length > end) throw this.#tooLong(`a field of ${length} bytes does not fit`, this.#at + length);
    return this.#at + length;
  }

  seek(position: number): void {
    this.#at = position;
  }

  /** Reads UTF-8 text up to `end`, of which at most `max` bytes are kept. */
  text(end: number, max: number): string {
    const bytes: number[] = [];
    while (this.#at < end && bytes.length < max) bytes.push(this.#byte());
    this.#at = end;
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  }

  /** Skips the value of a field that is not of interest. */
  skip({ field, wire }: Tag, end: number, depth = 0): void {
    if (wire === WIRE.varint) this.integer();
    else if (wire === WIRE.bytes) this.seek(this.end(end));
    else if (wire === WIRE.groupStart) this.#skipGroup(field, end, depth + 1);
    else if (wire === WIRE.groupEnd) throw new UnreadableProtobuf('a group ends that did not begin', this.#at);
    else this.seek(this.#at + (wire === WIRE.fixed64 ? 8 : 4));
    if (this.#at > end) throw this.#tooLong('a field does not fit', this.#at);
  }

  #skipGroup(field: number, end: number, depth: number): void {
    if (depth > MAX_DEPTH) throw new UnreadableProtobuf(`groups are nested more than ${MAX_DEPTH} deep`, this.#at);
    for (;;) {
      const tag = this.tag();
      if (tag.wire === WIRE.groupEnd && tag.field === field) return;
      this.skip(tag, end, depth);
    }
  }

  #tooLong(reason: string, until: number): UnreadableProtobuf {
    return new UnreadableProtobuf(reason, this.#at, until > this.size);
  }

  #byte(): number {
    const inWindow = this.#at - this.#windowStart;
    if (inWindow < 0 || inWindow >= this.#windowLength) {
      this.#windowStart = this.#at;
      this.#windowLength = this.#at >= this.size ? 0 : readSync(this.#file, this.#window, 0, WINDOW_BYTES, this.#at);
      if (this.#windowLength === 0) throw new UnreadableProtobuf('it ends in the middle', this.#at, true);
    }
    const byte = this.#window[this.#at - this.#windowStart] ?? 0;
    this.#at++;
    return byte;
  }
}
