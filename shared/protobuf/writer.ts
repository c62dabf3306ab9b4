const TWO_32 = 2 ** 32;

/** Bytes of a varint; a negative number takes ten, as its 64 bits do. */
export function sizeOfVarint(value: number | bigint): number {
  if (typeof value === 'number' && value >= 0) {
    if (value < 0x80) return 1;
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    return size;
  }
  let size = 1;
  for (let rest = BigInt.asUintN(64, BigInt(value)); rest >= 0x80n; rest >>= 7n) size++;
  return size;
}

/** Writes the protobuf wire format into memory of known size. */
export class ProtobufWriter {
  readonly buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size);
  }

  varint(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0 && value < TWO_32) {
      let rest = value;
      for (; rest >= 0x80; rest >>>= 7) this.buffer[this.#at++] = (rest & 0x7f) | 0x80;
      this.buffer[this.#at++] = rest;
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.buffer[this.#at++] = Number(rest & 0x7fn) | 0x80;
    this.buffer[this.#at++] = Number(rest);
  }

  float(value: number): void {
    this.#at = this.buffer.writeFloatLE(value, this.#at);
  }

  double(value: number): void {
    this.#at = this.buffer.writeDoubleLE(value, this.#at);
  }

  string(value: string): void {
    this.varint(Buffer.byteLength(value));
    this.#at += this.buffer.write(value, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.byteLength);
    this.buffer.set(value, this.#at);
    this.#at += value.byteLength;
  }
}
