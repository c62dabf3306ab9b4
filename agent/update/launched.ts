import { z } from 'zod';
import { parseJson } from '#shared/kernel/json.js';
import { SLOT_NAMES } from './slots.js';

/** Environment variable by which the launcher tells the agent it becomes how that came about. */
export const LAUNCHED_VARIABLE = 'SKERRY_AGENT_LAUNCHED';

const launchedSchema = z.object({
  /** The packaged executable, which is the launcher. */
  launcher: z.string().min(1).max(4096),
  /** Its release, and the digest of its native libraries. */
  packaged: z.string().max(64),
  natives: z.string().max(128),
  /** Schema of the state it can read. */
  schema: z.int().min(0).optional(),
  runs: z.enum([...SLOT_NAMES, 'packaged']),
  notes: z.array(z.object({ code: z.string().max(64), message: z.string().max(4096) })).max(16),
});
/** How the launcher started this agent. */
export type Launched = z.infer<typeof launchedSchema>;

/** What the launcher said; `undefined` when there was none, or what stands there is nothing of its. */
export function readLaunched(env: Readonly<Record<string, string | undefined>>): Launched | undefined {
  const text = env[LAUNCHED_VARIABLE];
  if (text === undefined) return undefined;
  try {
    return parseJson(launchedSchema, new TextEncoder().encode(text), { what: LAUNCHED_VARIABLE, maxBytes: 128 * 1024 });
  } catch {
    return undefined;
  }
}
