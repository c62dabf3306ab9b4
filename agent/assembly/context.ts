import { type Clock, systemClock } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { AgentConfig } from '../config.js';
import type { AgentOptions } from '../contract.js';
import type { Identity } from '../sync/identity.js';

/** What every phase of the assembly of an agent needs. */
export interface AgentContext {
  readonly config: AgentConfig;
  readonly identity: Identity;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random: () => number;
  readonly startedAt: string;
}

export function contextOf({ config, identity, logger, clock = systemClock, random = Math.random }: AgentOptions): AgentContext {
  return { config, identity, logger, clock, random, startedAt: new Date(clock.now()).toISOString() };
}
