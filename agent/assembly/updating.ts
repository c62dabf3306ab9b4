import os from 'node:os';
import type { Parts } from '#shared/kernel/lifecycle.js';
import { packagedProgram } from '#shared/kernel/packaged-program.js';
import { SKERRY_VERSION } from '#shared/kernel/version.js';
import type { AgentOptions } from '../contract.js';
import { DEFAULT_MODEL_SETTINGS, type ModelManager } from '../models/manager.js';
import { tellAndWait } from '../sync/hub-receipt.js';
import type { Handover } from '../update/ports.js';
import { SlotFolder } from '../update/slot-folder.js';
import { Updater } from '../update/updater.js';
import type { AgentContext } from './context.js';
import type { HubSide } from './hub-side.js';
import type { Stored } from './stored.js';

interface UpdatingNeeds {
  readonly options: AgentOptions;
  readonly stored: Stored;
  readonly hub: HubSide;
  readonly models: ModelManager;
  /** Rejects, or does not answer, when the agent no longer does its work. */
  readonly isAlive: () => Promise<void>;
  /** True when nobody asked for the end that is under way: it counts against the release that runs. */
  readonly hasFailed: () => boolean;
}

/** What keeps the agent itself at the release it should be. */
export interface Updating {
  readonly updater: Updater;
  /** Resolves when the process should end so that the launcher can start another release. */
  readonly makesRoom: Promise<Handover>;
}

export async function openUpdating(parts: Parts, context: AgentContext, needs: UpdatingNeeds): Promise<Updating> {
  const { config, identity, clock, logger, random } = context;
  const { options, stored, hub, models, isAlive, hasFailed } = needs;
  const { store, events } = stored;
  const { device } = identity;
  let makeRoom: (handover: Handover) => void = () => undefined;
  const makesRoom = new Promise<Handover>((resolve) => {
    makeRoom = resolve;
  });
  const updater = await Updater.open({
    state: store.state,
    blobs: store.blobs,
    trust: hub.trust,
    fetcher: hub.fetcher,
    desired: hub.desired,
    events,
    clock,
    logger: logger.child({ room: 'update' }),
    random,
    settings: { bake: config.updateBake, alive: config.updateAlive, retry: DEFAULT_MODEL_SETTINGS.retry },
    folder: new SlotFolder(config.data),
    launched: options.launched,
    program: 'program' in options ? options.program : packagedProgram(),
    release: SKERRY_VERSION,
    platform: { os: os.platform(), arch: os.arch() },
    models: () => models.reportedModels(),
    isOnline: () => hub.link.status.kind === 'online',
    confirm: (event) => tellAndWait(event, { device, outbox: store.outbox, pump: hub.pump, clock }),
    isAlive,
    needSpace: () => models.makeSpace(),
    makeRoom,
    onGood: (schema) => store.dropCopies(schema),
    ...(options.observeUpdate === undefined ? {} : { observe: options.observeUpdate }),
  });
  parts.onClose(() => updater.close(hasFailed() ? 'failed' : 'asked'));
  return { updater, makesRoom };
}
