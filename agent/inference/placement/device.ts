import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import os from 'node:os';

/** What of the device decides how fast and how right a provider is: changes when hardware or a driver does. */
export async function deviceFingerprint(): Promise<string> {
  const parts = [
    os.platform(),
    os.arch(),
    os.cpus()[0]?.model ?? '',
    os.cpus().length,
    os.totalmem(),
    await textOf('/proc/driver/nvidia/version'),
    await textOf('/sys/class/drm/version'),
    await textOf('/proc/device-tree/model'),
    process.env['VK_ICD_FILENAMES'] ?? '',
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Memory that can be had without swapping, bytes; `undefined` where the system does not say. */
export async function availableMemory(): Promise<number | undefined> {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(await textOf('/proc/meminfo'))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
