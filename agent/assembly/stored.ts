import type { SkerryError } from '#shared/kernel/errors.js';
import type { Parts } from '#shared/kernel/lifecycle.js';
import { endOrphans } from '../inference/instances/orphans.js';
import { WitnessFile } from '../inference/faults/witness-file.js';
import type { AgentStore } from '../store/open.js';
import { EventLog } from '../sync/event-log.js';
import type { AgentContext } from './context.js';
import type { AgentThreads } from './threads.js';

/** What is durable. */
export interface Stored {
  readonly store: AgentStore;
  readonly witnessFile: WitnessFile | undefined;
  readonly events: EventLog;
  /** Resolves when the store can no longer do its work. */
  readonly failed: Promise<SkerryError>;
  readonly hasFailed: () => boolean;
}

/** Rejects as `openAgentStore` does. Only one agent at a time has the store, and with it the files and processes of its folder. */
export async function openStored(parts: Parts, { config, identity, logger, clock }: AgentContext, threads: AgentThreads): Promise<Stored> {
  const store = await threads.store;
  const witnessFile = WitnessFile.open(config.data, logger);
  parts.onClose(() => witnessFile?.close());
  endOrphans(config.data, logger);
  const { recovery } = store;
  if (recovery !== undefined) logger.error({ code: recovery.error.code, movedTo: recovery.movedTo }, recovery.error.message);
  const events = new EventLog({ device: identity.device, outbox: store.outbox, clock, logger });
  let broken = false;
  const failed = new Promise<SkerryError>((resolve) => {
    store.onFailure((error) => {
      broken = true;
      resolve(error);
    });
  });
  return { store, witnessFile, events, failed, hasFailed: () => broken };
}
