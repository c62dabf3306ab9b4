import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { mosquittoAcl, mosquittoPasswordFile } from './broker/mosquitto.js';
import type { DevicePasswords } from './fleet/device-passwords.js';

export interface BrokerFilesOptions {
  readonly folder: string;
  readonly fleet: string;
  readonly hubUser: string;
  /** `mosquitto_passwd` hash of the hub's own password. */
  readonly hubHash: string;
  readonly passwords: DevicePasswords;
}

/**
 * Writes what an external mosquitto needs to know of the devices, `acl` and `passwords`; it reads them again on SIGHUP
 * (mosquitto.conf(5), "password_file").
 */
export async function writeBrokerFiles(options: BrokerFilesOptions): Promise<void> {
  const devices = await options.passwords.mosquittoEntries();
  await mkdir(options.folder, { recursive: true, mode: 0o750 });
  await writeFileAtomic(join(options.folder, 'acl'), mosquittoAcl(options.fleet, options.hubUser), { mode: 0o640 });
  const entries = [{ username: options.hubUser, hash: options.hubHash }, ...devices];
  await writeFileAtomic(join(options.folder, 'passwords'), mosquittoPasswordFile(entries), { mode: 0o640 });
}
