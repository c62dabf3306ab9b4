import type { Presence } from '#shared/protocol/messages.js';

/** Which MQTT session of a device is meant, and whether it lives. */
export interface PresenceMark {
  readonly boot: number;
  readonly connection: number;
  readonly session: string;
  readonly state: Presence['state'];
}

/**
 * Orders presence messages of one device by session, not by arrival: a newer boot, within it a newer connection, within
 * that death over birth. A death that arrives late belongs to an older session and loses. The order is total (sessions that
 * claim the same numbers are told apart by their id), so any order of arrival ends in the same state.
 */
export function comparePresence(a: PresenceMark, b: PresenceMark): number {
  if (a.boot !== b.boot) return a.boot - b.boot;
  if (a.connection !== b.connection) return a.connection - b.connection;
  if (a.session !== b.session) return a.session < b.session ? -1 : 1;
  return (a.state === 'offline' ? 1 : 0) - (b.state === 'offline' ? 1 : 0);
}

/** True when `message` replaces what is known. */
export function presenceSupersedes(known: PresenceMark | undefined, message: PresenceMark): boolean {
  return known === undefined || comparePresence(message, known) > 0;
}
