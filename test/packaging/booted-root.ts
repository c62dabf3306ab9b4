import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmdirSync, statfsSync } from 'node:fs';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { until } from '../kit/until.js';
import { BareRoot, type Command } from './bare-root.js';

const CGROUP2_SUPER_MAGIC = 0x63677270;
const CGROUPS = '/sys/fs/cgroup';

/** Becomes what it was asked to be in new groups below the present ones, the arguments before `--`. */
const JOIN = [
  'while [ "$1" != -- ]; do',
  '  mkdir "$1" || exit 1',
  // Version 1 lets nobody into a group that may use no processor.
  '  for file in cpuset.cpus cpuset.mems; do [ ! -e "$1/$file" ] || cat "$1/../$file" > "$1/$file" || true; done',
  '  echo $$ > "$1/cgroup.procs" || exit 1; shift',
  'done; shift; exec "$@"',
].join('\n');

/** Namespaces of its own, all but the network's: the hub of a test is reached over loopback. None outlives the test, however that ends. */
const UNSHARE = ['setpriv', '--pdeathsig=KILL', 'unshare', '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--fork', '--kill-child'];

/**
 * Mounts what a container has, with the kernel's settings for reading only, and makes the folder $1 the root of everything;
 * then systemd is process 1, without the abilities that concern the machine and not the container.
 */
const BOOT = `set -e
root=$1; shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3; mknod -m 666 "$root/dev/zero" c 1 5; mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8; mknod -m 666 "$root/dev/urandom" c 1 9; mknod -m 666 "$root/dev/tty" c 5 0
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
cd "$root"
mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
exec setpriv --bounding-set -sys_module,-sys_time,-sys_rawio,-sys_boot,-syslog,-mac_admin,-mac_override \\
  env -i container=skerry-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=journal "$@"`;

/** What would reach out of a container, or waits for hardware. */
const MASKED = [
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'sys-fs-fuse-connections.mount',
  'sys-kernel-config.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'systemd-journald-audit.socket',
  'systemd-modules-load.service',
  'systemd-sysctl.service',
  'systemd-udev-trigger.service',
  'systemd-udevd.service',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
];

interface Running {
  readonly launcher: ChildProcess;
  readonly ended: Promise<void>;
  /** Number of its first process, outside. */
  readonly init: number;
  readonly groups: readonly string[];
}

/** A Debian with systemd as its process 1, in namespaces of its own. */
export class BootedRoot extends BareRoot {
  readonly #logFile: string;
  #running: Running | undefined;

  private constructor(folder: string, logFile: string) {
    super(folder);
    this.#logFile = logFile;
  }

  /** Makes one and starts it; what keeps it from starting goes to `logFile`. */
  static async boot(logFile: string): Promise<BootedRoot> {
    const bare = await BareRoot.make(['systemd', 'systemd-sysv']);
    await Promise.all(MASKED.map((unit) => symlink('/dev/null', bare.inside(`/etc/systemd/system/${unit}`))));
    // One that has a number was started before, and is asked nothing.
    await writeFile(bare.inside('/etc/machine-id'), `${randomBytes(16).toString('hex')}\n`);
    const root = new BootedRoot(bare.path, logFile);
    try {
      await root.powerOn();
      return root;
    } catch (cause) {
      await root.remove();
      throw cause;
    }
  }

  /** Starts it from its disk and waits until it is up. */
  async powerOn(): Promise<void> {
    const groups = newGroups();
    const log = openSync(this.#logFile, 'a');
    const [file, ...args] = joined(groups, [...UNSHARE, 'sh', '-c', BOOT, 'sh', this.path, ...hierarchy()]);
    const launcher = spawn(file, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    const ended = new Promise<void>((resolve) => void launcher.once('exit', () => resolve()).once('error', () => resolve()));
    this.#running = { launcher, ended, groups, init: 0 };
    try {
      const init = await until('the first process', () => systemdOf(launcher), { deadlineMs: 30_000 });
      this.#running = { launcher, ended, groups, init };
      // It is up when it says so; a unit that failed is no reason not to go on, and shows in what a test asks first.
      const state = ['sh', '-c', 'systemctl is-system-running || true'];
      await until('systemd to be up', async () => /^(running|degraded)$/m.test((await this.run(state)).text), { deadlineMs: 120_000 });
    } catch (cause) {
      throw new Error(`systemd did not come up:\n${await readFile(this.#logFile, 'utf8')}`, { cause });
    }
  }

  /** Everything ends at once, as when the power is cut; what was not written to the disk of the machine is still written. */
  async cutPower(): Promise<void> {
    if (this.#running === undefined) return;
    const { launcher, ended, groups } = this.#running;
    this.#running = undefined;
    launcher.kill('SIGKILL');
    await ended;
    await removeGroups(groups);
  }

  override command(...args: readonly string[]): Command {
    if (this.#running === undefined) throw new Error('the system was not started');
    return ['nsenter', '--all', `--target=${this.#running.init}`, '--', ...args];
  }

  override async remove(): Promise<void> {
    await this.cutPower();
    await super.remove();
  }
}

/** Why no systemd can be started here; `undefined` when one can. */
export function whyNoSystemd(): string | undefined {
  const groups = newGroups();
  const mounts =
    'mount --make-rprivate / && mount -t tmpfs tmpfs /tmp && mkdir /tmp/p /tmp/s && mount -t proc p /tmp/p && mount -t sysfs -o ro s /tmp/s';
  const [file, ...args] = joined(groups, [...UNSHARE, 'sh', '-c', mounts]);
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  for (const group of groups) tryToRemove(group);
  return status === 0 ? undefined : `this system allows no namespaces with control groups: ${stderr.trim()}`;
}

function joined(groups: readonly string[], command: readonly string[]): Command {
  return ['sh', '-c', JOIN, 'sh', ...groups, '--', ...command];
}

/** Folders of groups that do not exist yet, one below the group of this process in each mounted hierarchy (cgroups(7)). */
function newGroups(): readonly string[] {
  const name = `skerry-test-${process.pid}-${randomBytes(3).toString('hex')}`;
  return readFileSync('/proc/self/cgroup', 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, controllers = '', own = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      const mounted = controllers === '' ? (isUnified() ? '.' : 'unified') : controllers.replace('name=', '');
      return path.join(CGROUPS, mounted, own, name);
    });
}

/** Debian 12 as it comes has the one hierarchy of version 2; a machine with version 1 lends its controllers only there. */
function hierarchy(): readonly string[] {
  return [`systemd.unified_cgroup_hierarchy=${isUnified() ? 1 : 0}`];
}

function isUnified(): boolean {
  return statfsSync(CGROUPS).type === CGROUP2_SUPER_MAGIC;
}

/** Processes of a namespace that was ended are gone soon, and then their groups can be. */
async function removeGroups(groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    await until(`${group} to be empty`, async () => {
      const below = await readdir(group, { recursive: true, withFileTypes: true }).catch(() => []);
      const folders = below.filter((entry) => entry.isDirectory()).map((entry) => path.join(entry.parentPath, entry.name));
      return [...folders.toSorted((a, b) => b.length - a.length), group].map(tryToRemove).every((gone) => gone);
    });
  }
}

function tryToRemove(group: string): boolean {
  try {
    rmdirSync(group);
    return true;
  } catch (cause) {
    return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  }
}

/** The child that has become systemd: before it, the same process had others. */
async function systemdOf({ pid, exitCode }: ChildProcess): Promise<number | undefined> {
  if (pid === undefined || exitCode !== null) return undefined;
  const [child] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter((text) => text !== '');
  if (child === undefined || (await readFile(`/proc/${child}/comm`, 'utf8')).trim() !== 'systemd') return undefined;
  return Number(child);
}
