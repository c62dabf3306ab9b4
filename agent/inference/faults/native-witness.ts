import { closeSync, openSync, writeSync } from 'node:fs';
import type { NamedTensors } from '#shared/tensor/tensor.js';
import { digestOfInputs } from './input-digest.js';
import type { VersionId, WitnessSlot } from '../instances/instance-protocol.js';
import { encodeVersion, offsetOf, SLOT, type NativeWork } from './witness-slots.js';

/**
 * Writes down, before native code is entered, whose it is and on which inputs, in a slot of a file that outlives the process
 * (`witness-file.ts`). One write to memory that the system keeps for the file, about a microsecond; nothing waits for a disk.
 * What cannot be written is not known after a crash: predictions go on.
 */
export class NativeWitness {
  readonly #fd: number;
  readonly #offset: number;
  readonly #entry = Buffer.alloc(SLOT.versionAt);

  private constructor(fd: number, offset: number) {
    this.#fd = fd;
    this.#offset = offset;
  }

  /** `undefined` when the file cannot be written. */
  static open({ file, slot }: WitnessSlot, of: VersionId): NativeWitness | undefined {
    try {
      const fd = openSync(file, 'r+');
      writeSync(fd, encodeVersion(of), 0, SLOT.bytes, offsetOf(slot));
      return new NativeWitness(fd, offsetOf(slot));
    } catch {
      return undefined;
    }
  }

  entered(work: NativeWork, inputs?: NamedTensors): void {
    this.#entry[0] = SLOT.works.indexOf(work);
    if (inputs === undefined) this.#entry.fill(0, 1);
    else this.#entry.write(digestOfInputs(inputs), 1, 'hex');
    this.#write(this.#entry.byteLength);
  }

  left(): void {
    this.#entry[0] = 0;
    this.#write(1);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(bytes: number): void {
    try {
      writeSync(this.#fd, this.#entry, 0, bytes, this.#offset);
    } catch {
      // See above.
    }
  }
}
