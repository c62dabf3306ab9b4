import { z } from 'zod';
import type { EpochMillis } from '#shared/kernel/clock.js';
import type { Presence } from '#shared/protocol/messages.js';

const copySchema = z.object({ bootId: z.string(), host: z.string(), at: z.number() });

/** Starts of the agent as a device's births tell of them; decides nothing by numbers, which a copy or an older image counts anew. */
export const startsSchema = z.object({
  /** Heard last. */
  current: z.object({ bootId: z.string(), afterBootId: z.string().optional(), boot: z.int(), connection: z.int(), host: z.string() }),
  /** Whose place another start took, newest first. */
  earlier: z.array(z.object({ bootId: z.string(), connection: z.int(), host: z.string() })),
  /** Two devices or more answer under this name. */
  copies: z.object({ since: z.number(), kept: copySchema, refused: z.array(copySchema) }).optional(),
});
export type DeviceStarts = z.infer<typeof startsSchema>;

/**
 * What a birth means. `known`: another session of the same start. `started`: a new start. `restored`: a new start whose number is not
 * above those before, so its data folder is older than what was heard. `copied`: a start came back after another one had taken its
 * place, so both live; from now on the other is refused. `refused`: of a copy. `late`: of a start that is over.
 */
export type StartVerdict = 'known' | 'started' | 'restored' | 'copied' | 'refused' | 'late';

export interface Birth extends Pick<Presence, 'boot' | 'connection' | 'afterBootId' | 'host'> {
  readonly bootId: string;
}

/** Starts remembered to recognise one that comes back. */
const EARLIER = 16;
/** Copies refused by name. */
const REFUSED = 8;

/** Hears of a session of a device. Pure. */
export function hearBirth(
  starts: DeviceStarts | undefined,
  birth: Birth,
  now: EpochMillis,
): { readonly starts: DeviceStarts; readonly verdict: StartVerdict } {
  const { bootId, afterBootId } = birth;
  const current = currentOf(birth);
  if (starts === undefined) return { starts: { current, earlier: [] }, verdict: 'started' };
  const asRefused = starts.copies?.refused.find((copy) => copy.bootId === bootId || copy.bootId === afterBootId);
  if (starts.copies !== undefined && asRefused !== undefined) {
    const refused = starts.copies.refused.map((copy) => (copy === asRefused ? copyOf(birth, now) : copy));
    return { starts: { ...starts, copies: { ...starts.copies, refused } }, verdict: 'refused' };
  }
  if (bootId === starts.current.bootId) return { starts: { ...keepsUp(starts, birth, now), current }, verdict: 'known' };
  const before = starts.earlier.find((start) => start.bootId === bootId);
  if (before !== undefined && birth.connection <= before.connection) return { starts, verdict: 'late' };
  if (before !== undefined) return { starts: comesBack(starts, birth, now), verdict: 'copied' };
  if (bootId === starts.current.afterBootId) return { starts, verdict: 'late' };
  const earlier = [earlierOf(starts.current), ...starts.earlier].slice(0, EARLIER);
  const verdict = birth.boot > starts.current.boot ? 'started' : 'restored';
  return { starts: { ...keepsUp(starts, birth, now), current, earlier }, verdict };
}

/** The copy that is kept goes on under each of its later starts. */
function keepsUp(starts: DeviceStarts, birth: Birth, now: EpochMillis): DeviceStarts {
  const { copies } = starts;
  if (copies === undefined || (copies.kept.bootId !== birth.bootId && copies.kept.bootId !== birth.afterBootId)) return starts;
  return { ...starts, copies: { ...copies, kept: copyOf(birth, now) } };
}

/** The one that was there first is kept, and whoever took its place is refused. */
function comesBack(starts: DeviceStarts, birth: Birth, now: EpochMillis): DeviceStarts {
  const { current, earlier, copies } = starts;
  const intruder = { bootId: current.bootId, host: current.host, at: now };
  return {
    current: currentOf(birth),
    earlier: [earlierOf(current), ...earlier.filter((start) => start.bootId !== birth.bootId)].slice(0, EARLIER),
    copies: {
      since: copies?.since ?? now,
      kept: copyOf(birth, now),
      refused: [intruder, ...(copies?.refused ?? [])].filter((copy) => copy.bootId !== birth.bootId).slice(0, REFUSED),
    },
  };
}

/** Settles it: `keep` names the copy that stays, if it is to be another one; without it whoever comes next is taken for the device. */
export function settleCopies(starts: DeviceStarts, keep: string | undefined): DeviceStarts {
  const { copies, ...rest } = starts;
  if (copies === undefined || keep === undefined) return { ...rest, earlier: [] };
  const all = [copies.kept, ...copies.refused];
  const kept = all.find((copy) => copy.bootId === keep) ?? copies.kept;
  return { ...rest, copies: { since: copies.since, kept, refused: all.filter((copy) => copy !== kept) } };
}

/** True for a start whose session is not let in: a copy of the one that is kept. */
export function isRefused(
  starts: DeviceStarts | undefined,
  start: { readonly bootId?: string | undefined; readonly afterBootId?: string | undefined },
): boolean {
  return starts?.copies?.refused.some(({ bootId }) => bootId === start.bootId || bootId === start.afterBootId) ?? false;
}

export function readStarts(text: string | null): DeviceStarts | undefined {
  return text === null ? undefined : startsSchema.parse(JSON.parse(text));
}

function currentOf({ bootId, afterBootId, boot, connection, host }: Birth): DeviceStarts['current'] {
  return { bootId, boot, connection, host: host ?? '', ...(afterBootId === undefined ? {} : { afterBootId }) };
}

function earlierOf({ bootId, connection, host }: DeviceStarts['current']): DeviceStarts['earlier'][number] {
  return { bootId, connection, host };
}

function copyOf({ bootId, host }: Birth, at: EpochMillis): z.infer<typeof copySchema> {
  return { bootId, host: host ?? '', at };
}
