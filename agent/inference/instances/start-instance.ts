import type { CarrierKind } from './carrier.js';
import { CarriedInstance, type Instance, type InstanceOptions } from './instance.js';
import { startProcess } from './process-carrier.js';
import { startThread } from './thread-carrier.js';

const CARRIERS = { thread: startThread, process: startProcess } as const;

/** Starts an instance in a thread, or in a process of its own. */
export function startInstance(kind: CarrierKind, options: InstanceOptions): Instance {
  return new CarriedInstance(CARRIERS[kind](), options);
}
