import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { errnoOf, SkerryError } from '#shared/kernel/errors.js';
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

export async function announce(data: string, running: RunningAgent): Promise<void> {
  await writeFileAtomic(join(data, FILE), `${JSON.stringify(running, undefined, 2)}\n`);
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
