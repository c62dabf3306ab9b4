import type { Clock } from '#shared/kernel/clock.js';
import type { Millis } from '#shared/kernel/time.js';
import type { Logger } from '#shared/kernel/logger.js';
import type { PackagedProgram } from '#shared/kernel/packaged-program.js';
import type { Reported } from '#shared/protocol/messages.js';
import type { BlobFetcher, DesiredSource, TrustClient } from '#agent/install/ports.js';
import type { StepMoment } from '#agent/install/step-loop.js';
import type { BlobStore, StateStore } from '#agent/store/contract.js';
import type { AgentEvent, EventSink } from '#agent/store/events.js';
import type { Launched } from './launched.js';
import type { SlotFolder } from './slot-folder.js';
import type { UpdateStep } from './decide/update-plan.js';

/** Why the process makes room for another program. */
export interface Handover {
  readonly to: string;
  readonly reason: string;
}

interface UpdaterSettings {
  readonly bake: Millis;
  /** How long a release may take to come up, or hang, before the kernel ends it. */
  readonly alive: Millis;
  readonly retry: { readonly base: Millis; readonly max: Millis };
}

export interface UpdaterDeps {
  readonly state: Pick<StateStore, 'get' | 'set' | 'serving'>;
  readonly blobs: BlobStore;
  readonly trust: TrustClient;
  readonly fetcher: BlobFetcher;
  readonly desired: DesiredSource;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random: () => number;
  readonly settings: UpdaterSettings;
  readonly folder: SlotFolder;
  /** How the launcher started this agent; `undefined` when it did not. */
  readonly launched: Launched | undefined;
  /** This agent as one file; `undefined` from source. */
  readonly program: PackagedProgram | undefined;
  /** Release of this agent. */
  readonly release: string;
  readonly platform: { readonly os: string; readonly arch: string };
  /** What the models of this device are at now. */
  readonly models: () => Reported['models'];
  readonly isOnline: () => boolean;
  /** Resolves once the hub has stored the event; rejects or stays open otherwise. */
  readonly confirm: (event: AgentEvent) => Promise<void>;
  /** Rejects, or does not answer, when the agent no longer does its work. */
  readonly isAlive: () => Promise<void>;
  /** The cache has no room for the executable: something else has to go. */
  readonly needSpace: () => void;
  /** Asks for an orderly end; the launcher decides what runs next. */
  readonly makeRoom: (handover: Handover) => void;
  /** This release is here to stay: copies of state for the one before it can go; not for the packaged one, which knows `schema`. */
  readonly onGood: (schema: number | undefined) => Promise<void>;
  /** For tests that look at, or end the process at, any moment of the work. */
  readonly observe?: (moment: StepMoment<UpdateStep>) => void | Promise<void>;
}
