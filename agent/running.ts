import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';

const FILE = 'agent.json';

const runningSchema = z.object({
  pid: z.int().min(1),
  boot: z.int().min(1),
  version: z.string(),
  startedAt: z.string(),
  device: z.string(),
  /** Base URL of the local API. */
  http: z.string().nullable(),
  socket: z.string().nullable(),
});
/** How to find the agent that runs with a data folder; `agent.json` in that folder holds it while one runs. */
export type RunningAgent = z.infer<typeof runningSchema>;

/** Base URL and socket of a local API that listens at `address`. */
export function whereFound({
  tcp,
  unix,
}: {
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  readonly unix: string | undefined;
}): Pick<RunningAgent, 'http' | 'socket'> {
  const host = tcp?.host.includes(':') === true ? `[${tcp.host}]` : tcp?.host;
  return { http: tcp === undefined ? null : `http://${host}:${tcp.port}`, socket: unix ?? null };
}

/**
 * Writes how this agent is found. A full disk must not keep a device from serving (R2): then the file a killed agent
 * left is overwritten where it lies, which takes no space; false when there is none.
 */
export async function announce(data: string, running: RunningAgent): Promise<boolean> {
  const file = join(data, FILE);
  const text = `${JSON.stringify(running, undefined, 2)}\n`;
  try {
    await writeFileAtomic(file, text);
    return true;
  } catch (cause) {
    // A disk that takes nothing, full or read-only, must not keep a device from serving (R2).
    const { code } = asSkerryError(cause);
    if (code !== 'DISK_FULL' && code !== 'IO_FAILED') throw cause;
    return overwrite(file, text);
  }
}

async function overwrite(file: string, text: string): Promise<boolean> {
  try {
    const handle = await open(file, 'r+');
    try {
      await handle.write(text, 0);
      await handle.truncate(Buffer.byteLength(text));
    } finally {
      await handle.close();
    }
    return true;
  } catch {
    return false;
  }
}

export async function withdraw(data: string): Promise<void> {
  await rm(join(data, FILE), { force: true });
}

/** The agent that runs with this data folder; `undefined` when none does (a file left by a killed one does not count). */
export async function findRunning(data: string): Promise<RunningAgent | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(join(data, FILE));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw new SkerryError('IO_FAILED', `${join(data, FILE)} could not be read`, { cause });
  }
  const running = parseJson(runningSchema, bytes, { what: join(data, FILE), maxBytes: 16_384 });
  return isAlive(running.pid) ? running : undefined;
}

/** Signal 0 asks whether the process is there; EPERM means that it is, and another user's. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    return errnoOf(cause) === 'EPERM';
  }
}
