import os from 'node:os';
import type { Capabilities } from '#shared/protocol/device.js';

/** What this device can do, given what its runtime said of itself. */
export function describeDevice(runtime: {
  readonly name: string;
  readonly version: string;
  readonly providers: readonly string[];
}): Capabilities {
  return {
    os: os.platform(),
    arch: os.arch(),
    cpus: Math.max(1, os.cpus().length),
    memoryBytes: os.totalmem(),
    providers: [...runtime.providers],
    runtime: { name: runtime.name, version: runtime.version },
  };
}
