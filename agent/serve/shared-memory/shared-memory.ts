import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';

/** POSIX shared memory of Linux is a file system in memory. */
const FOLDER = '/dev/shm';

/** Regions at once; each holds a file open. */
const MOST_REGIONS = 256;

/** Longest name of a region, characters. */
export const REGION_NAME_LENGTH = 256;

/** A part of a segment that clients made, under a name of their choice. */
export interface Region {
  readonly name: string;
  /** Name of the segment, as for `shm_open`. */
  readonly key: string;
  /** Where in the segment the region begins, bytes. */
  readonly offset: number;
  readonly byteSize: number;
}

interface Held extends Region {
  readonly file: FileHandle;
}

/**
 * Memory that clients on this machine share with the agent: inputs are read from it and outputs written to it by file operations, so a
 * segment that its owner cuts short gives an error and no fault. INVARIANT: nothing outside of a region is read or written.
 */
export class SharedMemory {
  readonly #allowed: boolean;
  readonly #regions = new Map<string, Held>();

  constructor(allowed: boolean) {
    this.#allowed = allowed;
  }

  /** Errors: `SERVE_SHARED_MEMORY_OFF`, `SERVE_SHARED_MEMORY` where the segment does not exist or has not so many bytes. */
  async register(region: Region): Promise<void> {
    const { name, key, offset, byteSize } = region;
    if (!this.#allowed) throw new SkerryError('SERVE_SHARED_MEMORY_OFF', 'shared memory is switched off here');
    const refuse = (why: string): SkerryError => new SkerryError('SERVE_SHARED_MEMORY', `region ${JSON.stringify(name)}: ${why}`);
    if (this.#regions.has(name)) throw refuse('it is registered already');
    if (this.#regions.size >= MOST_REGIONS) throw refuse(`${MOST_REGIONS} regions are registered, no more are accepted`);
    const file = await openSegment(key, refuse);
    try {
      const { size } = await file.stat();
      if (offset + byteSize > size) {
        throw refuse(`offset ${offset} and size ${byteSize} go beyond the ${size} bytes of the segment ${JSON.stringify(key)}`);
      }
      // Another request may have registered the name meanwhile.
      if (this.#regions.has(name)) throw refuse('it is registered already');
    } catch (cause) {
      await file.close();
      throw cause;
    }
    this.#regions.set(name, { ...region, file });
  }

  /** Registered regions, by name. */
  list(): readonly Region[] {
    return [...this.#regions.values()]
      .map(({ name, key, offset, byteSize }) => ({ name, key, offset, byteSize }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Errors: `SERVE_SHARED_MEMORY_UNKNOWN`. */
  find(name: string): Region {
    const { key, offset, byteSize } = this.#held(name);
    return { name, key, offset, byteSize };
  }

  /** Lets go of a region, or of all; reading and writing under way end first. A region that is not there is none to let go of. */
  async unregister(name?: string): Promise<void> {
    const leaving = [...this.#regions.values()].filter((region) => name === undefined || region.name === name);
    for (const region of leaving) this.#regions.delete(region.name);
    await Promise.all(leaving.map(({ file }) => file.close()));
  }

  /** Bytes of a region, as they are now. Errors: `SERVE_SHARED_MEMORY_UNKNOWN`, `SERVE_SHARED_MEMORY`. */
  async read(name: string, offset: number, byteSize: number): Promise<Uint8Array> {
    const { file, start } = this.#part(name, offset, byteSize);
    const bytes = Buffer.allocUnsafeSlow(byteSize);
    const { bytesRead } = await file.read(bytes, 0, byteSize, start);
    if (bytesRead === byteSize) return bytes;
    throw new SkerryError('SERVE_SHARED_MEMORY', `region ${JSON.stringify(name)}: its segment was cut short`);
  }

  /** Writes bytes into a region, of which the caller set aside `byteSize`. Errors: as `read`. */
  async write(name: string, offset: number, byteSize: number, bytes: Uint8Array): Promise<void> {
    const { file, start } = this.#part(name, offset, byteSize);
    if (bytes.byteLength > byteSize) {
      const why = `${byteSize} bytes are set aside for an output of ${bytes.byteLength}`;
      throw new SkerryError('SERVE_SHARED_MEMORY', `region ${JSON.stringify(name)}: ${why}`);
    }
    // A write may stop early, such as where the memory is full.
    for (let written = 0; written < bytes.byteLength; ) {
      const { bytesWritten } = await file.write(bytes, written, bytes.byteLength - written, start + written).catch(notWritten(name));
      if (bytesWritten === 0) notWritten(name)(undefined);
      written += bytesWritten;
    }
  }

  #part(name: string, offset: number, byteSize: number): { readonly file: FileHandle; readonly start: number } {
    const region = this.#held(name);
    if (offset + byteSize > region.byteSize) {
      const why = `offset ${offset} and size ${byteSize} go beyond its ${region.byteSize} bytes`;
      throw new SkerryError('SERVE_SHARED_MEMORY', `region ${JSON.stringify(name)}: ${why}`);
    }
    return { file: region.file, start: region.offset + offset };
  }

  #held(name: string): Held {
    const region = this.#regions.get(name);
    if (region !== undefined) return region;
    throw new SkerryError('SERVE_SHARED_MEMORY_UNKNOWN', `no shared memory region ${JSON.stringify(name)} is registered`);
  }
}

function notWritten(name: string): (cause: unknown) => never {
  return (cause) => {
    const why = `it could not be written (${errnoOf(cause) ?? 'no room is left'})`;
    throw new SkerryError('SERVE_SHARED_MEMORY', `region ${JSON.stringify(name)}: ${why}`, { cause });
  };
}

/** A name as `shm_open` takes it: one slash in front, none behind it. */
const KEY = /^\/?[^/\0]{1,254}$/;

async function openSegment(key: string, refuse: (why: string) => SkerryError): Promise<FileHandle> {
  const bare = key.replace(/^\//, '');
  if (!KEY.test(key) || bare === '.' || bare === '..') throw refuse(`${JSON.stringify(key.slice(0, 64))} is no name of a segment`);
  let file: FileHandle;
  try {
    // Without waiting: opening a named pipe could take for ever.
    file = await open(`${FOLDER}/${bare}`, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw refuse(`the segment ${JSON.stringify(key)} cannot be opened (${errnoOf(cause) ?? 'unknown error'})`);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw refuse(`${JSON.stringify(key)} is no segment of shared memory`);
}
