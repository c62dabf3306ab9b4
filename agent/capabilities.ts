import os from 'node:os';
import { FEATURES } from '#shared/bundle/features.js';
import { asSkerryError } from '#shared/kernel/errors.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { Capabilities } from '#shared/protocol/device.js';
import type { RuntimeDescription } from './inference/instances/instance-protocol.js';

/** What this device can do, given what its runtime said of itself. */
export function describeDevice(runtime: RuntimeDescription): Capabilities {
  return {
    os: os.platform(),
    arch: os.arch(),
    cpus: Math.max(1, os.cpus().length),
    memoryBytes: os.totalmem(),
    providers: [...runtime.providers],
    runtime: { name: runtime.name, version: runtime.version },
    features: [...FEATURES],
  };
}

/** What the runtime says of itself. A device whose runtime cannot load still reports, and says so: it offers no provider. */
export async function describeRuntime(runtime: { describe(): Promise<RuntimeDescription> }, logger: Logger): Promise<RuntimeDescription> {
  try {
    return await runtime.describe();
  } catch (cause) {
    const error = asSkerryError(cause);
    logger.error({ code: error.code, reason: error.message }, 'the inference runtime cannot be loaded; the device runs no models');
    return { name: 'onnxruntime-node', version: 'none', providers: [] };
  }
}
