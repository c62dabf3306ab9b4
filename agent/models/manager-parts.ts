import type { ModelName } from '#shared/bundle/names.js';
import { BoundedMap } from '#shared/kernel/bounded-map.js';
import { LIMITS } from '#shared/kernel/limits.js';
import type { DesiredModel } from '#shared/trust/desired.js';
import type { HeldStep } from '#agent/install/decide/install-step.js';
import { Downloads } from '#agent/install/downloads.js';
import { handleFailure } from '#agent/install/failure-handling.js';
import { Losses } from '#agent/install/losses.js';
import type { DesiredSource } from '#agent/install/ports.js';
import { StepLoop } from '#agent/install/step-loop.js';
import type { ServableStatus } from '#agent/inference/contract.js';
import type { StepPlan } from '#agent/install/decide/install-step.js';
import { planContext, planModel } from './decide/plan.js';
import { hasLeftovers } from './decide/plan-space.js';
import type { DeviceSnapshot } from './decide/snapshot.js';
import type { Step } from './decide/step.js';
import { execute } from './executor.js';
import { InstallProgress } from './install-progress.js';
import { Ledger } from './ledger.js';
import type { ModelManagerDeps } from './manager.js';
import { Manifests } from './manifests.js';
import { modelFailureActions } from './model-failures.js';
import { ModelLoops } from './model-loops.js';
import { RuntimeView } from './runtime-view.js';
import { SpaceKeeper } from './space-keeper.js';
import type { StepContext } from './steps/context.js';
import { Surveyor } from './survey.js';
import { Trials } from './trials.js';

/** What the manager consists of, made once the store was read. */
export interface ManagerParts {
  readonly context: StepContext;
  readonly loops: ModelLoops;
  readonly space: SpaceKeeper;
}

interface LoopParts extends ManagerParts {
  readonly survey: () => Promise<DeviceSnapshot>;
  readonly changed: () => void;
}

const NO_HOLDS: readonly HeldStep[] = [];
const FETCHES: ReadonlySet<Step['kind']> = new Set<Step['kind']>(['fetchManifest', 'fetchArtifact']);

/** What the hub wants of a model now. */
export function desiredModel(source: DesiredSource, model: ModelName): DesiredModel | undefined {
  return source.current()?.models.find((entry) => entry.model === model);
}

/** Reads what is stored and connects the parts. `changed` is called after any change of what is reported. */
export async function openParts(deps: ModelManagerDeps, changed: () => void): Promise<ManagerParts> {
  const { clock, logger, observe, settings, desired, foreign } = deps;
  const context = await openContext(deps, changed, (status) => reload(status));
  const loops: ModelLoops = new ModelLoops((model) => createLoop(model, deps, { context, loops, space, survey, changed }));
  const surveyor = new Surveyor({
    ...context,
    settings,
    startedAt: clock.monotonic(),
    desired: () => desired.current(),
    held: (model) => loops.find(model)?.holds.list() ?? NO_HOLDS,
    diskFull: () => space.diskFull,
    foreign,
  });
  const survey = (): Promise<DeviceSnapshot> => surveyor.survey();
  const space: SpaceKeeper = new SpaceKeeper({
    context,
    logger,
    observe,
    survey,
    desired: (model) => desiredModel(desired, model),
    currentStep: (model) => loops.find(model)?.current,
    onFreed: () => {
      for (const loop of loops.all()) loop.retryNow();
    },
  });
  // The first reload is at once; a version that keeps failing is reloaded after growing delays.
  const reload = ({ model, version }: ServableStatus): void => {
    const failedBefore = context.runtime.failures(model, version) - 2;
    if (failedBefore >= 0) loops.of(model).hold({ kind: 'load', version }, failedBefore);
    loops.of(model).reconsider();
  };
  return { context, loops, space };
}

async function openContext(deps: ModelManagerDeps, changed: () => void, failed: (status: ServableStatus) => void): Promise<StepContext> {
  const { state, blobs, trust, fetcher, servables, events, machine, clock, logger, observe, desired } = deps;
  const onPersisted: ModelManagerDeps['observe'] = (moment) => {
    changed();
    return observe?.(moment);
  };
  return {
    blobs,
    trust,
    events,
    machine,
    clock,
    logger,
    ledger: await Ledger.load({ state, events, clock, observe: onPersisted }),
    manifests: new Manifests(blobs, machine),
    progress: new InstallProgress(changed),
    runtime: new RuntimeView(servables, clock, { changed, failed }),
    minimums: new BoundedMap(LIMITS.rememberedModels),
    refusedManifests: new BoundedMap(LIMITS.rememberedModels),
    losses: new Losses(),
    downloads: new Downloads(blobs, fetcher),
    trials: await Trials.load(state, logger),
    behaviour: deps.behaviour,
    verdicts: new BoundedMap(LIMITS.rememberedVersions),
    attemptOf: ({ model, version, attempt }) => {
      const wish = desiredModel(desired, model);
      return [wish, wish?.candidate].find((entry) => entry?.version === version)?.attempt ?? attempt;
    },
  };
}

function createLoop(model: ModelName, deps: ModelManagerDeps, parts: LoopParts): StepLoop<Step> {
  const { clock, logger, random, settings, observe } = deps;
  const { context, space, survey, changed } = parts;
  const loop: StepLoop<Step> = new StepLoop<Step>({
    clock,
    logger,
    random,
    retry: settings.retry,
    subject: `model ${model}`,
    cancellable: FETCHES,
    plan: () => planNext(model, parts),
    execute: async (step, signal) => {
      if (FETCHES.has(step.kind)) space.forgetDiskFull();
      await execute(step, context, signal);
      if (step.kind === 'load') loop.holds.release({ kind: 'markBad', version: step.version });
      if (step.version !== undefined) context.progress.setError(step.model, step.version, undefined);
    },
    failed: async (step, failure) => {
      if (step.version !== undefined) await handleFailure(model, step, failure, actions);
    },
    changed,
    observe,
  });
  const actions = modelFailureActions({ context, survey, makeSpace: () => space.noteDiskFull(), hold: (step) => loop.hold(step) });
  return loop;
}

async function planNext(model: ModelName, { survey, space }: LoopParts): Promise<StepPlan<Step>> {
  const context = planContext(await survey());
  if (context.space.steps.length > 0 || hasLeftovers(context.device)) space.worker.kick();
  const snapshot = context.device.models.find((candidate) => candidate.model === model);
  return snapshot === undefined ? {} : planModel(snapshot, context);
}
