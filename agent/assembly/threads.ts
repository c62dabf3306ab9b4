import { join } from 'node:path';
import type { Clock } from '#shared/kernel/clock.js';
import type { AgentConfig } from '../config.js';
import { usableMemory } from '#shared/kernel/usable-memory.js';
import type { Instance } from '../inference/instances/instance.js';
import { chooseCarrier } from '../inference/decide/isolation.js';
import { startInstance } from '../inference/instances/start-instance.js';
import { DEFAULT_STORE_LIMITS } from '../store/limits.js';
import { type AgentStore, openAgentStore } from '../store/open.js';

/** The threads every agent has. They take long to come up, so they are started before the rest of the agent is loaded. */
export interface AgentThreads {
  readonly store: Promise<AgentStore>;
  /** The first instance. */
  readonly instance: Instance;
  /** Ends them again, where no agent comes of it. */
  close(): Promise<void>;
}

/** Starts the threads of the agent with these settings; `store` rejects as `openAgentStore` does. */
export function startThreads(config: AgentConfig, clock: Clock): AgentThreads {
  const limits = {
    ...DEFAULT_STORE_LIMITS,
    outboxRecords: config.outboxRecords,
    outboxBytes: config.outboxBytes,
    diskBudgetBytes: config.diskBudget,
    diskReserveBytes: config.diskReserve,
  };
  const store = openAgentStore({ folder: join(config.data, 'store'), limits, clock });
  // Whoever waits for it hears of it; until somebody does it is not unhandled.
  store.catch(() => undefined);
  const kind = chooseCarrier({ mode: config.isolation, memoryBytes: usableMemory(), running: 0, crashedBefore: false });
  const { predictionLimit: runLimit, loadLimit } = config;
  const instance = startInstance(kind, { clock, runLimit, loadLimit });
  return {
    store,
    instance,
    async close() {
      await Promise.all([store.then((opened) => opened.close()).catch(() => undefined), instance.close()]);
    },
  };
}
