import type { Clock } from '#shared/kernel/clock.js';
import type { Parts } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { AgentConfig } from '../config.js';
import { Access } from '../serve/access/access.js';
import type { AccessFileStatus, AccessSource } from '../serve/access/access-source.js';
import { isLoopback } from '../serve/access/caller-address.js';

/** What the status tells of who may use the local API. */
export type AccessStatus =
  | ({ readonly kind: 'file' } & AccessFileStatus)
  /** Everybody who reaches a listener may use the API; `warning` where that may be more than programs of this machine. */
  | { readonly kind: 'open'; readonly warning?: string };

/** Who may use the local API. */
export interface Guarding {
  readonly access: Access;
  readonly status: () => AccessStatus;
}

export interface GuardingContext {
  readonly config: Pick<AgentConfig, 'accessFile' | 'httpHost'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Errors: `SERVE_ACCESS_FILE`. */
export async function openGuarding(parts: Parts, { config, clock, logger }: GuardingContext): Promise<Guarding> {
  const deps = { clock, logger: logger.child({ room: 'access' }) };
  if (config.accessFile === undefined) {
    const status = openStatus(config.httpHost);
    if (status.warning !== undefined) deps.logger.warn({ host: config.httpHost }, status.warning);
    return { access: new Access(deps), status: () => status };
  }
  const { AccessSource: Source } = await import('../serve/access/access-source.js');
  const source: AccessSource = parts.holds(await Source.open(config.accessFile, deps));
  return { access: new Access({ ...deps, source }), status: () => ({ kind: 'file', ...source.status }) };
}

function openStatus(host: string): { readonly kind: 'open'; readonly warning?: string } {
  if (isLoopback(host)) return { kind: 'open' };
  return { kind: 'open', warning: `the local API listens on ${host} without an access file: everybody who reaches it may use it` };
}
