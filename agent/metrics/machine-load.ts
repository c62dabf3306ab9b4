import os from 'node:os';

/** How busy the whole machine is. */
export interface MachineLoad {
  /** Share of the time of all processors since the last reading, 0 to 1. */
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly usedMemoryBytes: number;
}

type CpuTimes = Pick<os.CpuInfo, 'times'>;

/** Gives a function that reads the load of the machine; the first reading is since the machine started. */
export function machineLoadReader(cpus: () => readonly CpuTimes[] = os.cpus): () => MachineLoad {
  let last = { busy: 0, all: 0 };
  return () => {
    const now = timesOf(cpus());
    const all = now.all - last.all;
    const cpu = all > 0 ? (now.busy - last.busy) / all : 0;
    last = now;
    const memoryBytes = os.totalmem();
    return { cpu: Math.min(1, Math.max(0, cpu)), memoryBytes, usedMemoryBytes: memoryBytes - os.freemem() };
  };
}

function timesOf(cpus: readonly CpuTimes[]): { readonly busy: number; readonly all: number } {
  let [busy, all] = [0, 0];
  for (const { times } of cpus) {
    const working = times.user + times.nice + times.sys + times.irq;
    busy += working;
    all += working + times.idle;
  }
  return { busy, all };
}
