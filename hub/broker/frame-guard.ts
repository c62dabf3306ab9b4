/** Largest packets accepted on one connection, bytes after the fixed header. */
export interface FrameLimits {
  /** The first packet (CONNECT), before anybody is authenticated. */
  readonly connectBytes: number;
  readonly packetBytes: number;
}

type FrameVerdict = 'ok' | 'too-large' | 'malformed';

/**
 * Watches the bytes of an MQTT connection go by and says when a packet announces more than its limit, before the parser
 * behind collects it. Reads only fixed headers (MQTT 3.1.1, 2.2): one type byte, then the remaining length as one to four
 * bytes of seven bits. Holds no payload.
 */
export class FrameGuard {
  readonly #limits: FrameLimits;
  #first = true;
  /** Bytes of the current packet still to pass. */
  #skip = 0;
  /** How many length bytes were read; -1 before the type byte. */
  #lengthBytes = -1;
  #length = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  feed(chunk: Uint8Array): FrameVerdict {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - offset);
        this.#skip -= step;
        offset += step;
        continue;
      }
      const verdict = this.#headerByte(chunk[offset] ?? 0);
      if (verdict !== 'ok') return verdict;
      offset += 1;
    }
    return 'ok';
  }

  #headerByte(byte: number): FrameVerdict {
    if (this.#lengthBytes < 0) {
      this.#lengthBytes = 0;
      this.#length = 0;
      return 'ok';
    }
    this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes;
    this.#lengthBytes += 1;
    if ((byte & 0x80) !== 0) return this.#lengthBytes < 4 ? 'ok' : 'malformed'; // MQTT 2.2.3: at most four bytes
    if (this.#length > (this.#first ? this.#limits.connectBytes : this.#limits.packetBytes)) return 'too-large';
    this.#first = false;
    this.#skip = this.#length;
    this.#lengthBytes = -1;
    return 'ok';
  }
}
