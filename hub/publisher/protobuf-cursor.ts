import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';

const WINDOW_BYTES = 64 * 1024;

/** Tag of a field: its number and how its value is written (protobuf.dev/programming-guides/encoding, "Structure"). */
export interface Tag {
  readonly field: number;
  readonly wire: 0 | 1 | 2 | 5;
}

/**
 * Reads protobuf from a file through a window of 64 KiB: what is skipped is never read, so a file of gigabytes costs no memory.
 * Reads are synchronous: there are very many tiny ones, and this runs on the publisher's machine only.
 */
export class ProtobufCursor {
  readonly #path: string;
  readonly #file: number;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #windowStart = 0;
  #windowLength = 0;
  #at = 0;
  readonly size: number;

  constructor(path: string) {
    this.#path = path;
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

  /** Reads a varint; beyond 2^53 it is no longer exact, which no length or field number reaches. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.invalid('a number has more than ten bytes');
  }

  tag(): Tag {
    const value = this.varint();
    const wire = value % 8;
    const field = Math.floor(value / 8);
    if (field === 0 || (wire !== 0 && wire !== 1 && wire !== 2 && wire !== 5)) throw this.invalid(`no field can have the tag ${value}`);
    return { field, wire };
  }

  /** Reads the length of a field of wire type 2 and returns where the field ends, which must be within `end`. */
  end(end: number): number {
    const length = this.varint();
    if (this.#at + length > end) throw this.invalid(`a field of ${length} bytes does not fit`);
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
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }

  /** Skips the value of a field that is not of interest. */
  skip(wire: Tag['wire'], end: number): void {
    if (wire === 0) this.varint();
    else if (wire === 2) this.seek(this.end(end));
    else this.seek(this.#at + (wire === 1 ? 8 : 4));
    if (this.#at > end) throw this.invalid('a field does not fit');
  }

  invalid(reason: string): SkerryError {
    return new SkerryError('ONNX_INVALID', `${this.#path} is not a readable ONNX file: ${reason} (at byte ${this.#at})`);
  }

  #byte(): number {
    const inWindow = this.#at - this.#windowStart;
    if (inWindow < 0 || inWindow >= this.#windowLength) {
      this.#windowStart = this.#at;
      this.#windowLength = this.#at >= this.size ? 0 : readSync(this.#file, this.#window, 0, WINDOW_BYTES, this.#at);
      if (this.#windowLength === 0) throw this.invalid('it ends in the middle');
    }
    const byte = this.#window[this.#at - this.#windowStart] ?? 0;
    this.#at++;
    return byte;
  }
}
