import { SkerryError } from '#shared/kernel/errors.js';
import type { ServableState } from '#shared/protocol/messages.js';

/** What can happen to a servable. */
export type ServableEvent = 'loaded' | 'warmed' | 'failed' | 'drain' | 'drained';

type Row = Readonly<Partial<Record<ServableEvent, ServableState>>>;

/** The whole life of a servable. Each comment is what holds once the state has been published. */
const TRANSITIONS: Readonly<Record<ServableState, Row>> = {
  /** Its files are being opened in an instance of its own; it takes no request and nobody waits for one. */
  loading: { loaded: 'warming', failed: 'failed' },
  /** A session holds the model and its signature is the manifest's; golden samples are being run. Still takes no request. */
  warming: { warmed: 'available', failed: 'failed' },
  /** Gave the right golden outputs, has run before, and serves every request it is sent. */
  available: { drain: 'draining', failed: 'failed' },
  /** Takes no new request; those it had taken are still being answered. */
  draining: { drained: 'unloaded' },
  /** Serves nothing and holds no instance; the reason is in its status. */
  failed: { drained: 'unloaded' },
  /** Nothing of it is left in memory. */
  unloaded: {},
};

/** The state after `event`; an event the state does not accept is a bug and throws `INFERENCE_TRANSITION`. */
export function transition(state: ServableState, event: ServableEvent): ServableState {
  const next = TRANSITIONS[state][event];
  if (next === undefined) throw new SkerryError('INFERENCE_TRANSITION', `a servable that is ${state} cannot take the event "${event}"`);
  return next;
}
