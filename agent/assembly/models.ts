import os from 'node:os';
import type { Parts } from '#shared/kernel/lifecycle.js';
import type { PredictionTarget } from '../inference/contract.js';
import type { RuntimeDescription } from '../inference/instances/instance-protocol.js';
import { CrashWitness } from '../metrics/crash-witness.js';
import { createModelManager } from '../models/create-manager.js';
import { DEFAULT_MODEL_SETTINGS, type ModelManager, type ModelManagerDeps } from '../models/manager.js';
import { desiredOfModels } from '../update/desired-of-models.js';
import type { AgentContext } from './context.js';
import type { HubSide } from './hub-side.js';
import type { Predicting } from './predicting.js';
import type { Stored } from './stored.js';

interface ModelNeeds {
  readonly stored: Stored;
  readonly predicting: Predicting;
  readonly description: RuntimeDescription;
  readonly hub: HubSide;
  /** Files in the store that are no model's. */
  readonly foreign: NonNullable<ModelManagerDeps['foreign']>;
  readonly observe: ModelManagerDeps['observe'];
}

/** What keeps the models as they should be. */
export function openModels(parts: Parts, context: AgentContext, needs: ModelNeeds): ModelManager {
  const { config, clock, logger, random } = context;
  const { stored, predicting, description, hub, foreign, observe } = needs;
  return parts.holds(
    createModelManager({
      state: stored.store.state,
      blobs: stored.store.blobs,
      trust: hub.trust,
      fetcher: hub.fetcher,
      desired: desiredOfModels(hub.desired),
      servables: predicting.runtime,
      events: stored.events,
      machine: { providers: () => description.providers, memoryBytes: () => os.totalmem(), freeMemoryBytes: () => os.freemem() },
      behaviour: predicting.behaviour,
      suspects: stored.witnessFile?.suspects,
      clock,
      logger: logger.child({ room: 'models' }),
      random,
      settings: { ...DEFAULT_MODEL_SETTINGS, bake: config.bake, maxBoots: config.maxBoots },
      foreign,
      ...(observe === undefined ? {} : { observe }),
    }),
  );
}

interface WitnessNeeds {
  readonly stored: Stored;
  readonly predicting: Predicting;
  readonly agent: () => PredictionTarget;
}

/** Notices that the last run of the agent crashed. Its parts are closed after everything that may still crash. */
export async function openWitness(parts: Parts, { logger }: AgentContext, needs: WitnessNeeds): Promise<CrashWitness> {
  const { stored, predicting, agent } = needs;
  return parts.holds(
    new CrashWitness({
      state: stored.store.state,
      servables: predicting.runtime,
      recorder: predicting.counting,
      events: stored.events,
      logger,
      agent,
      suspects: stored.witnessFile?.suspects,
      crashes: await predicting.runtime.crashMemory(),
    }),
  );
}
