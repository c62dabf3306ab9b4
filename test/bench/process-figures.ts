import { readdir, readFile } from 'node:fs/promises';

// What Linux says of a process (proc(5)).

/** Clock ticks a second in /proc/PID/stat (USER_HZ; 100 on every Linux). */
const TICKS = 100;

/** Memory in bytes: what lies in the machine's, what of that is no page of a file, and the most it ever was. */
export interface Memory {
  readonly resident: number;
  readonly own: number;
  readonly peak: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const of = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
  return { resident: of('VmRSS'), own: of('RssAnon'), peak: of('VmHWM') };
}

/** User and system time of a process so far, threads that ended included; in hundredths (fields 14 and 15 of stat). */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** The same of the threads that are there, to the nanosecond (first field of schedstat). */
export async function threadSeconds(pid: number): Promise<number> {
  const folder = `/proc/${pid}/task`;
  const threads = await readdir(folder);
  // A thread may end between the list and the look at it.
  const text = (thread: string): Promise<string> => readFile(`${folder}/${thread}/schedstat`, 'utf8').catch(() => '0');
  const each = await Promise.all(threads.map(async (thread) => (await text(thread)).split(' ')[0]));
  return each.reduce((sum, nanos) => sum + Number(nanos), 0) / 1e9;
}
