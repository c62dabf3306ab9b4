import { SkerryError } from '#shared/kernel/errors.js';

/** Appends unsigned LEB128 of a safe integer. */
export function writeVarint(out: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    out.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

/** Maps ..., -2, -1, 0, 1, 2 ... to 3, 1, 0, 2, 4 (Protocol Buffers encoding, "ZigZag"). */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** Reads bytes from the front, strictly: only shortest forms, never past the end; `SKETCH_INVALID` otherwise. */
export class ByteReader {
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#view.byteLength - this.#offset;
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  float(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  varint(maximum: number): number {
    let value = 0;
    let scale = 1;
    for (let length = 1; length <= 8; length++) {
      const byte = this.byte();
      value += (byte % 128) * scale;
      if (byte < 128) {
        if (byte === 0 && length > 1) throw new SkerryError('SKETCH_INVALID', 'an integer is not in its shortest form');
        if (value > maximum) throw new SkerryError('SKETCH_INVALID', `an integer is above ${maximum}`);
        return value;
      }
      scale *= 128;
    }
    throw new SkerryError('SKETCH_INVALID', 'an integer is too long');
  }

  #take(length: number): number {
    if (this.remaining < length) throw new SkerryError('SKETCH_INVALID', 'the bytes end too early');
    const at = this.#offset;
    this.#offset += length;
    return at;
  }
}
