import type { Presence } from '#shared/protocol/messages.js';

/** Which MQTT session of a device is meant, and whether it lives. */
export interface PresenceMark {
  readonly boot: number;
  /** Names the start of the agent; left out by agents that do not. */
  readonly bootId?: string | undefined;
  readonly connection: number;
  readonly session: string;
  readonly state: Presence['state'];
}

/**
 * Orders presence messages of one start by session, not by arrival: a newer connection, within it death over birth. A death that
 * arrives late belongs to an older session and loses. The order is total (sessions that claim the same numbers are told apart
 * by their id), so any order of arrival ends in the same state. Starts without a name are ordered by their number.
 */
export function comparePresence(a: PresenceMark, b: PresenceMark): number {
  if (a.boot !== b.boot) return a.boot - b.boot;
  if (a.connection !== b.connection) return a.connection - b.connection;
  if (a.session !== b.session) return a.session < b.session ? -1 : 1;
  return (a.state === 'offline' ? 1 : 0) - (b.state === 'offline' ? 1 : 0);
}

/**
 * True when `message` replaces what is known. Of another start, a birth does, whatever its numbers say: a session just admitted is
 * alive, also of a device that was put back to an older image. A death of another start is a late one, unless the broker kept it
 * (`replayed`): what it keeps is what was said last.
 */
export function presenceSupersedes(known: PresenceMark | undefined, message: PresenceMark, replayed = false): boolean {
  if (known === undefined) return true;
  if (known.bootId === message.bootId) return comparePresence(message, known) > 0;
  return message.state === 'online' || replayed;
}
