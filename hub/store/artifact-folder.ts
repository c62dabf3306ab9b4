import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, digestSchema } from '#shared/bundle/names.js';
import { syncFolder } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { ArtifactStorage } from './artifacts.js';

const INCOMING = 'incoming';

/**
 * Artifacts as files `<folder>/<first two digits>/<digest>`. A file under its digest is complete and verified: it is
 * written under another name, synced, and renamed.
 */
export class ArtifactFolder implements ArtifactStorage {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder where needed and clears away uploads that a crash cut off. */
  static async open(folder: string): Promise<ArtifactFolder> {
    await rm(join(folder, INCOMING), { recursive: true, force: true });
    await mkdir(join(folder, INCOMING), { recursive: true });
    return new ArtifactFolder(folder);
  }

  async put(digest: Digest, source: AsyncIterable<Uint8Array>, length?: number): Promise<{ readonly length: number }> {
    const incoming = join(this.#folder, INCOMING, `${digest}.${randomUUID()}`);
    try {
      const received = await receive(incoming, digest, source, length);
      await this.#settle(incoming, this.#path(digest));
      return { length: received };
    } catch (cause) {
      await rm(incoming, { force: true });
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }

  async #settle(incoming: string, path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await rename(incoming, path);
    await syncFolder(dirname(path));
    await syncFolder(this.#folder);
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.length(digest)) !== undefined;
  }

  async length(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#path(digest))).size;
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }

  async readRange(digest: Digest, offset: number, length: number): Promise<Uint8Array> {
    let file: FileHandle;
    try {
      file = await open(this.#path(digest), 'r');
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') throw new SkerryError('ARTIFACT_UNKNOWN', `there is no artifact ${digest}`);
      throw asSkerryError(cause, 'IO_FAILED');
    }
    try {
      const bytes = new Uint8Array(length);
      let have = 0;
      while (have < length) {
        const { bytesRead } = await file.read(bytes, have, length - have, offset + have);
        if (bytesRead === 0) throw new SkerryError('ARTIFACT_UNKNOWN', `artifact ${digest} ends before byte ${offset + length}`);
        have += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  async delete(digest: Digest): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  async *list(): AsyncGenerator<Digest> {
    for (const shard of await readdir(this.#folder)) {
      if (shard === INCOMING) continue;
      for (const name of await readdir(join(this.#folder, shard))) {
        const digest = digestSchema.safeParse(name).data;
        if (digest?.startsWith(shard) === true) yield digest;
      }
    }
  }

  async usage(): Promise<{ readonly artifacts: number; readonly bytes: number }> {
    let artifacts = 0;
    let bytes = 0;
    for (const shard of await readdir(this.#folder)) {
      if (shard === INCOMING) continue;
      for (const name of await readdir(join(this.#folder, shard))) {
        artifacts += 1;
        bytes += (await stat(join(this.#folder, shard, name))).size;
      }
    }
    return { artifacts, bytes };
  }

  #path(digest: Digest): string {
    return join(this.#folder, digest.slice(0, 2), digest);
  }
}

/** Writes the source to a new file while hashing it piece by piece, so that neither memory nor the event loop feels its size. */
async function receive(path: string, digest: Digest, source: AsyncIterable<Uint8Array>, length: number | undefined): Promise<number> {
  const limit = length ?? LIMITS.artifactBytes;
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  let received = 0;
  try {
    for await (const piece of source) {
      received += piece.byteLength;
      if (received > limit) throw new SkerryError('INPUT_TOO_LARGE', `artifact ${digest} has more than the ${limit} bytes accepted`);
      hash.update(piece);
      await writeAll(file, piece);
    }
    if (length !== undefined && received < length) {
      throw new SkerryError('ARTIFACT_TRUNCATED', `artifact ${digest}: only ${received} of ${length} bytes arrived`);
    }
    const actual = hash.digest('hex');
    if (actual !== digest) throw new SkerryError('ARTIFACT_DIGEST_MISMATCH', `announced as ${digest}, received ${actual}`);
    await file.sync();
    return received;
  } finally {
    await file.close();
  }
}

/** `FileHandle.write` may write less than it was given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) written += (await file.write(bytes, written)).bytesWritten;
}
