import { fullJitter } from '#shared/kernel/backoff.js';
import { type Clock, sleep } from '#shared/kernel/clock.js';
import { seconds } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { LiveEvent } from '#hub/kernel/live-bus.js';
import type { HubClient } from './client.js';

const BACKOFF = { base: 500, max: seconds(15) };

interface LiveOptions {
  readonly hub: HubClient;
  readonly kinds: readonly LiveEvent['kind'][];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEvent: (event: LiveEvent) => void;
  /** The feed stands (again): what happened before has to be asked for. */
  readonly onOpen: () => Promise<void>;
  readonly onLost: (reason: string) => void;
}

/** Follows the live feed until the signal, connecting again when it breaks; rejects only when the hub refuses the token. */
export async function followLive(options: LiveOptions): Promise<void> {
  const { signal, clock } = options;
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const end = await listen(options, () => {
      attempt = 0;
    });
    if (signal.aborted) return;
    options.onLost(end);
    await sleep(clock, fullJitter(attempt, { ...BACKOFF, random: Math.random }), signal).catch(() => undefined);
  }
}

/** One connection, from open to end; resolves with why it ended. */
async function listen(options: LiveOptions, opened: () => void): Promise<string> {
  const [{ WebSocket }, { readLiveEvent }, { LIVE_PATH, LIVE_UNAUTHENTICATED }] = await Promise.all([
    import('ws'),
    import('#hub/kernel/live-bus.js'),
    import('../api/live-path.js'),
  ]);
  const { hub, kinds, signal } = options;
  const headers = { authorization: `Bearer ${hub.address.token}` };
  const socket = new WebSocket(hub.webSocketUrl(LIVE_PATH, { kinds: kinds.join(',') }), { headers, maxPayload: LIMITS.apiBodyBytes });
  const abort = (): void => socket.terminate();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      socket.on('open', () => {
        opened();
        options.onOpen().catch(reject);
      });
      socket.on('message', (data: Buffer) => {
        try {
          const event = readLiveEvent(data);
          if (event !== undefined) options.onEvent(event);
        } catch (cause) {
          reject(cause instanceof Error ? cause : new SkerryError('HUB_ANSWER_MALFORMED', String(cause)));
        }
      });
      socket.on('unexpected-response', (_request, response) => {
        if (response.statusCode === 401 || response.statusCode === 403) {
          reject(new SkerryError('API_UNAUTHENTICATED', `the hub refused the live feed with status ${response.statusCode}`));
        } else resolve(`status ${response.statusCode}`);
      });
      socket.on('error', (cause) => resolve(cause.message));
      socket.on('close', (code, reason) => {
        if (code === LIVE_UNAUTHENTICATED)
          reject(new SkerryError('API_UNAUTHENTICATED', `the hub ended the live feed: ${reason.toString()}`));
        else resolve(`closed with ${code}`);
      });
    });
  } finally {
    signal.removeEventListener('abort', abort);
    socket.terminate();
  }
}
