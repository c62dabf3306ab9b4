import type { Clock } from '#shared/kernel/clock.js';
import type { SkerryError } from '#shared/kernel/errors.js';
import type { Service } from '#shared/kernel/lifecycle.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { PackagedProgram } from '#shared/kernel/packaged-program.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { AgentConfig } from './config.js';
import type { Observe } from './models/observe.js';
import type { ServeAddress } from './serve/config.js';
import type { LinkStatus } from './sync/contract.js';
import type { Identity } from './sync/identity.js';
import type { AccessStatus } from './assembly/guarding.js';
import type { AgentThreads } from './assembly/threads.js';
import type { Launched } from './update/launched.js';
import type { Handover, UpdaterDeps } from './update/ports.js';

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly identity: Identity;
  readonly logger: Logger;
  /** Its threads, where they were started before; they are its own from here on. */
  readonly threads?: AgentThreads;
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random?: () => number;
  /** Looks at every moment of the work on models; only programs composed by tests pass one. */
  readonly observe?: Observe;
  /** How the launcher started this process; left out when it did not, and then the agent does not replace itself. */
  readonly launched?: Launched;
  /** This program as one file (default: what the build says). */
  readonly program?: PackagedProgram | undefined;
  /** As `observe`, of the work on releases of the agent itself. */
  readonly observeUpdate?: NonNullable<UpdaterDeps['observe']>;
}

/** Document of `/skerry/v1/status`, and what `skerry-agent status` shows. */
export interface AgentStatus {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly fleet: string;
  readonly hub: string;
  readonly link: LinkStatus;
  /** Who may use the local API. */
  readonly access: AccessStatus;
  readonly memory: ModelsMemory;
  readonly reported: Reported;
}

/** What the loaded versions take. */
interface ModelsMemory {
  readonly heldBytes: number;
  readonly budgetBytes?: number;
  readonly versions: readonly {
    readonly model: string;
    readonly version: number;
    readonly bytes: number;
    /** Threads cannot be measured. */
    readonly isEstimate: boolean;
    readonly asleep: boolean;
  }[];
}

export interface Agent extends Service {
  readonly device: string;
  readonly address: ServeAddress;
  /** Resolves with the reason when the agent can no longer do its work and the process should end. */
  readonly failed: Promise<SkerryError>;
  /** Calls `listener` when it begins to close, also after a start that failed. */
  onEnding(listener: () => void): void;
  /** Resolves when the process should end so that the launcher can start another release of the agent. */
  readonly makesRoom: Promise<Handover>;
  status(): Promise<AgentStatus>;
  /** Threads that cannot be stopped; while there is one the process has to be ended by force. */
  stuckThreads(): number;
  /** Ends processes that run models at once, for a program that is about to be ended by force. */
  abandonAll(): void;
}
