import { isUtf8 } from 'node:buffer';
import { SkerryError } from '#shared/kernel/errors.js';

/** Wire types (protobuf.dev/programming-guides/encoding, "Structure"). */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;

/** Groups in groups of a field that is skipped. */
const GROUP_DEPTH = 64;

/** Fields in the groups of a message, which nobody has written for many years: they are passed over in one go. */
const GROUP_FIELDS = 64 * 1024;

const TWO_32 = 2 ** 32;

/** Reads the protobuf wire format from memory; pieces that it hands out are views. Errors: `PROTOBUF_INVALID`. */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  /** Upper 32 bits of the number read last. */
  #high = 0;
  #groupFields = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.byteLength;
  }

  /** Field number times eight plus wire type. */
  tag(): number {
    const tag = this.uint32();
    if (tag < 8 || (tag & 7) > WIRE.fixed32 || this.#high !== 0) throw this.#invalid(`no field can have the tag ${tag}`);
    return tag;
  }

  uint32(): number {
    const byte = this.#bytes[this.#at] ?? 0x80;
    if (byte >= 0x80) return this.#varint() >>> 0;
    this.#at++;
    this.#high = 0;
    return byte;
  }

  int32(): number {
    return this.uint32() | 0;
  }

  /** Exact up to 2^53, as `uint64` is always. */
  ulong(): number {
    const low = this.#varint() >>> 0;
    return (this.#high >>> 0) * TWO_32 + low;
  }

  long(): number {
    const low = this.#varint() >>> 0;
    return (this.#high | 0) * TWO_32 + low;
  }

  uint64(): bigint {
    const low = this.#varint() >>> 0;
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(low);
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  bool(): boolean {
    return (this.#varint() | this.#high) !== 0;
  }

  float(): number {
    return this.#view.getFloat32(this.#skipBytes(4), true);
  }

  double(): number {
    return this.#view.getFloat64(this.#skipBytes(8), true);
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const length = this.uint32();
    if (this.#high !== 0) throw this.#invalid('a field has more than 4 GiB');
    const start = this.#skipBytes(length);
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    const bytes = this.bytes();
    // Protocol Buffers, "Scalar Value Types": a string must always contain UTF-8 encoded text.
    if (!isUtf8(bytes)) throw this.#invalid('a text is not UTF-8');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }

  /** The bytes of the value of a field as they are on the wire; a view. */
  value(tag: number): Uint8Array {
    const start = this.#at;
    this.skip(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** Passes over the value of a field. */
  skip(tag: number, depth = 0): void {
    const wire = tag & 7;
    if (wire === WIRE.varint) this.#varint();
    else if (wire === WIRE.bytes) this.bytes();
    else if (wire === WIRE.fixed64) this.#skipBytes(8);
    else if (wire === WIRE.fixed32) this.#skipBytes(4);
    else if (wire === WIRE.groupStart && depth < GROUP_DEPTH) this.#skipGroup(tag >>> 3, depth + 1);
    else throw this.#invalid('a group ends that did not begin, or is nested too deeply');
  }

  #skipGroup(field: number, depth: number): void {
    for (;;) {
      this.#groupFields++;
      if (this.#groupFields > GROUP_FIELDS) throw this.#invalid(`its groups have more than ${GROUP_FIELDS} fields`);
      const tag = this.tag();
      if (tag === field * 8 + WIRE.groupEnd) return;
      this.skip(tag, depth);
    }
  }

  /** Reads a varint of at most ten bytes; gives its lower 32 bits. */
  #varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw this.#invalid('it ends in the middle');
      this.#at++;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift > 28) high |= bits << (shift - 32);
      else {
        low |= bits << 28;
        high = bits >>> 4;
      }
      if (byte >= 0x80) continue;
      this.#high = high;
      return low;
    }
    throw this.#invalid('a number has more than ten bytes');
  }

  #skipBytes(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.byteLength) throw this.#invalid('it ends in the middle');
    this.#at = start + length;
    return start;
  }

  #invalid(reason: string): SkerryError {
    return new SkerryError('PROTOBUF_INVALID', `the message cannot be read at byte ${this.#at}: ${reason}`);
  }
}
