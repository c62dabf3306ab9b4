import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** A real disk of a few megabytes, to be filled and emptied by a test. */
export class SmallDisk {
  readonly folder: string;
  readonly #filler: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.#filler = path.join(folder, 'filler');
  }

  /** `undefined` where this user may not mount one. */
  static mount(megabytes: number): SmallDisk | undefined {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'skerry-disk-'));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]).status === 0) return new SmallDisk(folder);
    rmdirSync(folder);
    return undefined;
  }

  /** Leaves about so many bytes free. */
  async fill(leave = 0): Promise<void> {
    await this.empty();
    const { bavail, bsize } = await statfs(this.folder);
    await writeFile(this.#filler, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
  }

  /** Gives back what `fill` took. */
  async empty(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  /** Lets nothing be written, or again. */
  readOnly(on: boolean): void {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, this.folder], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the disk could not be mounted again: ${stderr}`);
  }

  unmount(): void {
    spawnSync('umount', ['--lazy', this.folder]);
    rmdirSync(this.folder);
  }
}
