import type { LiveBus } from '#hub/kernel/live-bus.js';
import type { Clock } from '#shared/kernel/clock.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { HubConfig } from '../config.js';

/** What every phase of the assembly of a hub needs. */
export interface HubContext {
  readonly config: HubConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly bus: LiveBus;
}
