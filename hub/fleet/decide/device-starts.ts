import { z } from 'zod';
import type { EpochMillis } from '#shared/kernel/time.js';
import type { Presence } from '#shared/protocol/messages.js';

/** A device among several that answer under one name: the start heard last, and `before`, its starts before that, last named first. */
const copySchema = z.object({ bootId: z.string(), host: z.string(), at: z.number(), before: z.array(z.string()).default([]) });
type Copy = z.infer<typeof copySchema>;

/** Starts of the agent as a device's births tell of them; decides nothing by numbers, which a copy or an older image counts anew. */
const startsSchema = z.object({
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
/** Starts of each copy by which its next one is recognised. */
const BEFORE = 16;

interface StartName {
  readonly bootId?: string | undefined;
  readonly afterBootId?: string | undefined;
  readonly host?: string | undefined;
}

/** Hears of a session of a device. `replayed`: the broker kept the birth from before, so it does not say that the start lives. Pure. */
export function hearBirth(
  starts: DeviceStarts | undefined,
  birth: Birth,
  now: EpochMillis,
  replayed = false,
): { readonly starts: DeviceStarts; readonly verdict: StartVerdict } {
  const { bootId } = birth;
  const current = currentOf(birth);
  if (starts === undefined) return { starts: { current, earlier: [] }, verdict: 'started' };
  if (isRefused(starts, birth)) return { starts: refuse(starts, birth, now), verdict: 'refused' };
  if (bootId === starts.current.bootId) return { starts: { ...keepsUp(starts, birth, now), current }, verdict: 'known' };
  const before = starts.earlier.find((start) => start.bootId === bootId);
  const isBefore = bootId === starts.current.afterBootId;
  if (before === undefined ? isBefore && replayed : birth.connection <= before.connection) return { starts, verdict: 'late' };
  const keptIsCurrent = isKept(starts, { bootId: starts.current.bootId });
  if (before !== undefined || isBefore) {
    if (keptIsCurrent && !isKept(starts, birth)) return { starts: refuse(starts, birth, now), verdict: 'refused' };
    return { starts: comesBack(starts, birth, now), verdict: 'copied' };
  }
  // The one that is kept was switched off while a start that nobody knew held its place.
  if (!keptIsCurrent && isKept(starts, birth)) return { starts: comesBack(starts, birth, now), verdict: 'copied' };
  const earlier = [earlierOf(starts.current), ...starts.earlier].slice(0, EARLIER);
  const verdict = birth.boot > starts.current.boot ? 'started' : 'restored';
  return { starts: { ...keepsUp(starts, birth, now), current, earlier }, verdict };
}

/** The copy that is kept goes on under each of its later starts. */
function keepsUp(starts: DeviceStarts, birth: Birth, now: EpochMillis): DeviceStarts {
  const { copies } = starts;
  return copies !== undefined && isOf(copies.kept, birth)
    ? { ...starts, copies: { ...copies, kept: goesOn(copies.kept, birth, now) } }
    : starts;
}

/** The one that was there first is kept, and whoever took its place is refused. Who was kept before stays kept, whoever else comes back. */
function comesBack(starts: DeviceStarts, birth: Birth, now: EpochMillis): DeviceStarts {
  const { current, earlier, copies } = starts;
  const names = copies === undefined ? [] : namesOf(copies.kept);
  const at = names.indexOf(birth.bootId);
  const kept =
    copies !== undefined && at < 0 ? goesOnIfOf(copies.kept, birth, now) : { ...copyOf(birth, now), before: names.slice(at + 1) };
  const next: DeviceStarts = {
    current: currentOf(birth),
    earlier: [earlierOf(current), ...earlier.filter((start) => start.bootId !== birth.bootId)].slice(0, EARLIER),
    copies: { since: copies?.since ?? now, kept, refused: copies?.refused ?? [] },
  };
  // What seemed to be later starts of the one that is kept was made by whoever took its place.
  return refuse(next, current, now, at < 0 ? [] : names.slice(0, at));
}

/** Refuses a start, as the next one of the copy that it belongs to; a copy not heard of for longest is forgotten for a new one. */
function refuse(starts: DeviceStarts, start: StartName, now: EpochMillis, before: readonly string[] = []): DeviceStarts {
  const { copies } = starts;
  const { bootId } = start;
  if (copies === undefined || bootId === undefined) return starts;
  const known = copies.refused.find((copy) => isOf(copy, start));
  const copy = known ?? { ...copyOf({ bootId, host: start.host }, now), before: before.filter((name) => name !== bootId) };
  const refused = [goesOn(copy, { ...start, bootId }, now), ...copies.refused.filter((other) => other !== known)];
  return { ...starts, copies: { ...copies, refused: refused.slice(0, REFUSED) } };
}

/**
 * A start of a copy that is refused before its birth is heard; undefined where it is let in, or known already. Its name has to be kept: the
 * next start names this one alone.
 */
export function noteRefused(starts: DeviceStarts, start: StartName, now: EpochMillis): DeviceStarts | undefined {
  const isKnown = starts.copies?.refused.some((copy) => namesOf(copy).some((name) => name === start.bootId)) === true;
  return isKnown || !isRefused(starts, start) ? undefined : refuse(starts, start, now);
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
export function isRefused(starts: DeviceStarts | undefined, start: StartName): boolean {
  return starts?.copies?.refused.some((copy) => isOf(copy, start)) ?? false;
}

function isKept({ copies }: DeviceStarts, start: StartName): boolean {
  return copies !== undefined && isOf(copies.kept, start);
}

/** Names of the starts of a copy, last heard first. */
export function namesOf({ bootId, before }: Copy): string[] {
  return [bootId, ...before];
}

function isOf(copy: Copy, { bootId, afterBootId }: StartName): boolean {
  return namesOf(copy).some((name) => name === bootId || name === afterBootId);
}

/** A copy under its next start. The start that this one names is the last to be forgotten: a disk that takes no writes names it again. */
function goesOn(copy: Copy, start: Pick<Birth, 'bootId' | 'afterBootId' | 'host'>, now: EpochMillis): Copy {
  const names = namesOf(copy).filter((name) => name !== start.bootId);
  const named = names.filter((name) => name === start.afterBootId);
  const before = [...named, ...names.filter((name) => name !== start.afterBootId)].slice(0, BEFORE);
  return { ...copyOf(start, now), before };
}

function goesOnIfOf(copy: Copy, birth: Birth, now: EpochMillis): Copy {
  return isOf(copy, birth) ? goesOn(copy, birth, now) : copy;
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

function copyOf({ bootId, host }: Pick<Birth, 'bootId' | 'host'>, at: EpochMillis): Copy {
  return { bootId, host: host ?? '', at, before: [] };
}
