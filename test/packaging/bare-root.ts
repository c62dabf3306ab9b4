import { copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { cached } from '#packaging/build/tools.js';
import { must, sh } from './tools.js';

const DEFAULT_MIRROR = 'http://deb.debian.org/debian';
const SUITE = 'bookworm';

/** Mounts what a system has mounted, in a namespace that ends with the process, then becomes what it was asked to be. */
const ENTER = [
  'mount --make-rprivate /',
  'mount -t proc proc "$1/proc"',
  'mount --rbind /dev "$1/dev"',
  'mount -t tmpfs tmpfs "$1/tmp"',
  'root=$1; shift',
  'cd /; exec chroot "$root" "$@"',
].join(' && ');

export type Command = readonly [string, ...string[]];

/** A Debian system with nothing but what every one has (debootstrap --variant=minbase), to install packages into. */
export class BareRoot {
  readonly path: string;

  protected constructor(folder: string) {
    this.path = folder;
  }

  /** `further` are packages that are there as well. */
  static async make(further: readonly string[] = []): Promise<BareRoot> {
    const kept = await cached(['bare', SUITE, ...further].join('-'), async (temporary) => {
      const root = path.join(temporary, 'root');
      const include = further.length === 0 ? [] : [`--include=${further.join(',')}`];
      await must('debootstrap', ['--variant=minbase', ...include, SUITE, root, await mirror()]);
      await must('tar', ['-cf', path.join(temporary, 'root.tar'), '-C', root, '.']);
      await rm(root, { recursive: true, force: true });
    });
    const folder = await mkdtemp(path.join(os.tmpdir(), 'skerry-root-'));
    await must('tar', ['-xpf', path.join(kept, 'root.tar'), '-C', folder]);
    return new BareRoot(folder);
  }

  /** Calls a program inside: the process that runs is the program itself. */
  command(...args: readonly string[]): Command {
    return ['unshare', '--mount', 'sh', '-c', ENTER, 'sh', this.path, ...args];
  }

  /** Runs a program inside to its end. */
  run(args: readonly string[]): Promise<{ code: number; text: string }> {
    const [file, ...rest] = this.command(...args);
    return sh(file, rest, { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' });
  }

  async must(args: readonly string[]): Promise<string> {
    const { code, text } = await this.run(args);
    if (code !== 0) throw new Error(`in the bare root, ${args.join(' ')} ended with ${code}:\n${text}`);
    return text;
  }

  /** Installs or upgrades from a package file. */
  async install(file: string): Promise<void> {
    const name = path.basename(file);
    await copyFile(file, path.join(this.path, 'opt', name));
    await this.must(['dpkg', '-i', `/opt/${name}`]);
    await rm(path.join(this.path, 'opt', name));
  }

  inside(file: string): string {
    return path.join(this.path, file);
  }

  async exists(file: string): Promise<boolean> {
    return stat(this.inside(file)).then(
      () => true,
      () => false,
    );
  }

  /** Everything on its disk outside of `except`, with size and time of change: what a program wrote shows here. */
  async files(except: readonly string[]): Promise<string> {
    const left = except.flatMap((folder) => ['-path', `.${folder}`, '-prune', '-o']);
    return must('sh', ['-c', 'cd "$1" && shift && find . -xdev "$@" -type f -printf "%p %s %T@\\n" | sort', 'sh', this.path, ...left]);
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The mirror this machine installs from. */
async function mirror(): Promise<string> {
  const texts = await Promise.all(
    ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  return /^(?:deb|URIs:)\s+(?:\[[^\]]*\]\s+)?(https?:\/\/\S*\/debian)\/?(?:\s|$)/m.exec(texts.join('\n'))?.[1] ?? DEFAULT_MIRROR;
}
