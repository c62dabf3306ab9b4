import { exec } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { seconds } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import { mosquittoAcl, mosquittoPasswordFile } from './broker/mosquitto.js';
import type { DevicePasswords } from './fleet/device-passwords.js';

export interface BrokerFilesOptions {
  readonly folder: string;
  readonly fleet: string;
  readonly hubUser: string;
  /** `mosquitto_passwd` hash of the hub's own password. */
  readonly hubHash: string;
  readonly passwords: DevicePasswords;
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
    const { folder, fleet, hubUser, hubHash, passwords } = this.#options;
    const devices = await passwords.mosquittoEntries();
    await mkdir(folder, { recursive: true, mode: 0o750 });
    await writeFileAtomic(join(folder, 'acl'), mosquittoAcl(fleet, hubUser), { mode: 0o640 });
    const entries = [{ username: hubUser, hash: hubHash }, ...devices];
    await writeFileAtomic(join(folder, 'passwords'), mosquittoPasswordFile(entries), { mode: 0o640 });
    await this.#reload();
  }

  /** A broker that was not told lets new devices in later, after the next change: said, and no reason to refuse an enrolment. */
  async #reload(): Promise<void> {
    const { reload, logger } = this.#options;
    if (reload === undefined) return;
    try {
      await promisify(exec)(reload, { timeout: RELOAD_TIMEOUT_MS, env: process.env });
    } catch (cause) {
      logger.error({ cause, command: reload }, 'the command that makes the broker read its files again failed');
    }
  }
}
