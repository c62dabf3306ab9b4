import { SkerryError } from '#shared/kernel/errors.js';
import type { CarrierEnd } from '../instances/carrier.js';
import type { ToInstance } from '../instances/instance-protocol.js';

/** What native code ends a process with, on purpose or by a fault of the processor. */
const FAULTS = new Set(['SIGFPE', 'SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGTRAP', 'SIGSYS']);
/** Windows has no signals; there a fault is an exit code (NTSTATUS) from here on. */
const NT_ERROR = 0xc0000000;

/** What an instance was doing: a call, or one that runs a copy of a request. */
export type During = ToInstance['kind'] | 'copy';

const DURING: Readonly<Record<During, string>> = {
  describe: 'while it loaded the runtime',
  load: 'while it loaded the model',
  check: 'while it ran a golden sample',
  run: 'while it ran the request',
  copy: 'while it ran a copy of a request',
  close: 'while it closed',
};

/**
 * Whether an instance that ended so counts as a crash of its version. Not where it did nothing, could not be started, had its own heap full, or was killed:
 * the kernel ends the largest process when memory runs out, which need not be the one that took it. Pure.
 */
export function isCrash({ code, details }: SkerryError): boolean {
  if (code === 'INFERENCE_CRASHED' || code === 'INFERENCE_STUCK') return true;
  return (
    details?.['during'] !== undefined && details['signal'] !== 'SIGKILL' && details['notStarted'] !== true && details['heapFull'] !== true
  );
}

/** Why an instance that ended unasked did, for the call it was in, and for those that only waited behind. `during`: undefined when idle. Pure. */
export function endOf(end: CarrierEnd, during: During | undefined): { readonly reason: SkerryError; readonly bystanders: SkerryError } {
  const { how, signal, cause, notStarted, heapFull } = end;
  const details = {
    ...(notStarted === true ? { notStarted } : {}),
    ...(heapFull === true ? { heapFull } : {}),
    ...(signal === undefined ? {} : { signal }),
    ...(during === undefined ? {} : { during }),
  };
  const options = { details, ...(cause === undefined ? {} : { cause }) };
  const bystanders = new SkerryError('INFERENCE_INSTANCE_DIED', `the worker running the model ended: ${how}`, options);
  if (during === undefined) return { reason: bystanders, bystanders };
  const when = DURING[during];
  if (heapFull === true) {
    const message = `the process of the model had no room left in its JavaScript heap ${when}: what was sent or computed is too large for it`;
    return { reason: new SkerryError('INFERENCE_INSTANCE_DIED', message, options), bystanders };
  }
  if ((signal !== undefined && FAULTS.has(signal)) || (end.code ?? 0) >= NT_ERROR) {
    return { reason: new SkerryError('INFERENCE_CRASHED', `native code crashed (${how}) ${when}`, options), bystanders };
  }
  if (signal === 'SIGKILL') {
    const message = `the process of the model was killed ${when}: by the system because memory ran out, or by somebody`;
    return { reason: new SkerryError('INFERENCE_INSTANCE_DIED', message, options), bystanders };
  }
  return { reason: bystanders, bystanders };
}
