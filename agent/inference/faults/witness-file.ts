import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { WitnessSlot } from '../instances/instance-protocol.js';
import { MAX_SLOTS, SLOT } from './witness-slots.js';
import { readSuspects, type Suspect } from '../decide/witness-suspects.js';

/**
 * The file in which instances in threads of the agent write down that they are in native code. It outlives the process, not the
 * system: no request waits for a disk, and a file from before the system was started says nothing.
 */
export class WitnessFile {
  readonly #file: string;
  readonly #free: number[] = [];
  #used = 0;
  /** Who was in native code when the last run of the agent ended; `undefined`: not known. Empty after an end in order. */
  readonly suspects: readonly Suspect[] | undefined;

  private constructor(file: string, suspects: readonly Suspect[] | undefined) {
    this.#file = file;
    this.suspects = suspects;
  }

  /** Reads what the last run left and begins anew; for one agent at a time in a data folder. `undefined` when no file can be had. */
  static open(dataFolder: string, logger: Logger, env: NodeJS.ProcessEnv = process.env): WitnessFile | undefined {
    const name = `skerry-agent-${createHash('sha256').update(dataFolder).digest('hex').slice(0, 16)}.witness`;
    // In memory where systemd names a folder (RuntimeDirectory=). Else in the data folder: a container has another /dev/shm after each
    // start, while what was written to a file stays in the page cache, as fast and whatever ends the process.
    const [ofService] = env['RUNTIME_DIRECTORY']?.split(':') ?? [];
    for (const folder of [ofService, dataFolder, process.platform === 'linux' ? '/dev/shm' : undefined]) {
      if (folder === undefined || folder === '') continue;
      const file = join(folder, name);
      try {
        return new WitnessFile(file, takeOver(file));
      } catch (cause) {
        logger.debug({ file, reason: asSkerryError(cause).message }, 'calls into native code cannot be recorded here');
      }
    }
    logger.warn({}, 'a crash of native code cannot be assigned to a model');
    return undefined;
  }

  /** A slot for one instance, to be given back when its thread is gone. */
  take(): WitnessSlot | undefined {
    const slot = this.#free.pop() ?? (this.#used < MAX_SLOTS ? this.#used++ : undefined);
    return slot === undefined ? undefined : { file: this.#file, slot };
  }

  release({ slot }: WitnessSlot): void {
    this.#free.push(slot);
  }

  /** The agent ends in order: nothing of this run is to be suspected. */
  close(): void {
    rmSync(this.#file, { force: true });
  }
}

/** What the file says, which then begins anew. Throws Node's error, and when the file is another user's. */
function takeOver(file: string): readonly Suspect[] | undefined {
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    const { uid, size } = fstatSync(fd);
    if (process.getuid !== undefined && uid !== process.getuid()) throw new SkerryError('IO_FAILED', `${file} belongs to another user`);
    const bytes = Buffer.alloc(Math.min(size, (MAX_SLOTS + 1) * SLOT.bytes));
    readSync(fd, bytes, 0, bytes.byteLength, 0);
    const header = Buffer.alloc(SLOT.bytes, ' ');
    header.write(systemStart());
    const known = size > 0 && bytes.subarray(0, SLOT.bytes).equals(header);
    ftruncateSync(fd, 0);
    writeSync(fd, header);
    return known ? readSuspects(bytes.subarray(SLOT.bytes)) : undefined;
  } finally {
    closeSync(fd);
  }
}

/** Another one for every start of the system, where it has one. */
function systemStart(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
