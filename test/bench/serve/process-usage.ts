import { readdir, readFile } from 'node:fs/promises';

/** What a process uses, as Linux tells it. */
export interface ProcessUsage {
  readonly residentBytes: number;
  readonly handles: number;
  readonly threads: number;
}

export async function usageOf(pid: number): Promise<ProcessUsage> {
  const [status, handles, threads] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readdir(`/proc/${pid}/fd`),
    readdir(`/proc/${pid}/task`),
  ]);
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN);
  return { residentBytes: kilobytes * 1024, handles: handles.length, threads: threads.length };
}

/** Processor time of the main thread of a process, milliseconds: that of JavaScript, without the models' threads. */
export async function mainThreadTime(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8');
  return Number(text.split(' ')[0]) / 1e6;
}
