import { exec } from 'node:child_process';
import { chmod, chown, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { seconds } from '#shared/kernel/time.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import { mosquittoAcl, mosquittoPasswordFile } from './broker/mosquitto.js';
import type { DevicePasswords } from './fleet/device-passwords.js';

interface BrokerFilesOptions {
  readonly folder: string;
  readonly fleet: string;
  readonly hubUser: string;
  /** `mosquitto_passwd` hash of the hub's own password. */
  readonly hubHash: string;
  readonly passwords: DevicePasswords;
  /** Group that the broker reads the files as; that of the folder when left out. */
  readonly group: string | undefined;
  /** Shell command that makes the broker read the files again. */
  readonly reload: string | undefined;
  readonly logger: Logger;
}

const RELOAD_TIMEOUT_MS = seconds(10);

/**
 * What an external mosquitto needs to know of the devices, in the files `acl` and `passwords`; it reads them again on SIGHUP
 * (mosquitto.conf(5), "password_file").
 */
export class BrokerFiles {
  readonly #options: BrokerFilesOptions;
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: BrokerFilesOptions) {
    this.#options = options;
  }

  /**
   * Writes the files and has them read. Of all who ask while it is being done, one writing serves all: a fleet that enrols at
   * once does not write every password once a device.
   */
  update(): Promise<void> {
    if (this.#writing === undefined) {
      this.#writing = this.#write().finally(() => (this.#writing = undefined));
      return this.#writing;
    }
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.update();
      });
    return this.#next;
  }

  async #write(): Promise<void> {
    const { fleet, hubUser, hubHash, passwords } = this.#options;
    const devices = await passwords.mosquittoEntries();
    const gid = await this.#ownGroup();
    await this.#put('acl', mosquittoAcl(fleet, hubUser), gid);
    const entries = [{ username: hubUser, hash: hubHash }, ...devices];
    await this.#put('passwords', mosquittoPasswordFile(entries), gid);
    await this.#reload();
  }

  /** Makes the folder; whoever belongs to its group may read what lies there. Throws `HUB_MOSQUITTO_GROUP`. */
  async #ownGroup(): Promise<number> {
    const { folder, group } = this.#options;
    const made = await mkdir(folder, { recursive: true, mode: 0o750 });
    if (group === undefined) return (await stat(folder)).gid;
    const gid = await gidOf(group);
    if (made !== undefined) {
      await give(folder, gid, group);
      await chmod(folder, 0o750);
    }
    return gid;
  }

  /** Readable by the group, and by nobody else, before the broker looks for it under its name. */
  async #put(name: string, text: string, gid: number): Promise<void> {
    const { folder, group } = this.#options;
    const file = join(folder, name);
    await writeFileAtomic(file, text, { mode: 0o640, ready: (temporary) => give(temporary, gid, group ?? String(gid)) });
  }

  /** A broker that was not told lets new devices in later, after the next change: said, and no reason to refuse an enrolment. */
  async #reload(): Promise<void> {
    const { reload, logger } = this.#options;
    if (reload === undefined) return;
    try {
      await promisify(exec)(reload, { timeout: RELOAD_TIMEOUT_MS, env: process.env });
    } catch (cause) {
      logger.error({ cause, command: reload }, 'the command that makes the broker reload its files failed');
    }
  }
}

/** Gives a file to a group; the hub has to run as root or belong to that group. */
async function give(file: string, gid: number, group: string): Promise<void> {
  if ((await stat(file)).gid === gid) return;
  try {
    await chown(file, -1, gid);
  } catch (cause) {
    if (errnoOf(cause) !== 'EPERM') throw cause;
    throw new SkerryError(
      'HUB_MOSQUITTO_GROUP',
      `the user of the hub does not belong to the group ${group}, so the broker could not read ${file}`,
      { cause },
    );
  }
}

/** Number of a group by its name or number (group(5)). */
async function gidOf(group: string): Promise<number> {
  if (/^\d{1,10}$/.test(group)) return Number(group);
  const line = (await readFile('/etc/group', 'utf8')).split('\n').find((entry) => entry.startsWith(`${group}:`));
  const gid = line === undefined ? Number.NaN : Number(line.split(':')[2]);
  if (Number.isInteger(gid)) return gid;
  throw new SkerryError('HUB_MOSQUITTO_GROUP', `there is no group ${group} on this machine`);
}
