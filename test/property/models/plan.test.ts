import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest, VersionNumber } from '#shared/bundle/names.js';
import { INSTALL_STATES } from '#shared/protocol/messages.js';
import { QuantileSketch } from '#shared/stats/sketch.js';
import { CANDIDATE_ACTIONS, type DesiredCandidate } from '#shared/protocol/desired-rollout.js';
import type { BlobEntry, ServingRecord, VersionRecord } from '#agent/store/contract.js';
import { guardLimits } from '#agent/models/decide/guard.js';
import { completeDigests, fallbacks, isComplete, MAX_BOOTS_OF_GOOD, selfServing } from '#agent/models/decide/facts.js';
import { isProtected } from '#agent/models/decide/plan-space.js';
import { nextState } from '#agent/install/decide/install-table.js';
import { planContext, planModel } from '#agent/models/decide/plan.js';
import { type HeldStep, stepKey } from '#agent/install/decide/install-step.js';
import type { DeviceSnapshot, ManifestFacts, ModelSnapshot, VersionFacts } from '#agent/models/decide/snapshot.js';
import type { BehaviourFigures } from '#agent/models/ports.js';
import type { Step } from '#agent/models/decide/step.js';
import { bytesFrom, digestOfBytes } from '../../kit/agent-store.js';
import { modelName, versionNumber } from '../../kit/servables.js';

// A device in memory on which planned steps have the effects they promise, and loads go as each version's nature says.

interface World {
  snapshot: DeviceSnapshot;
  readonly manifests: ReadonlyMap<Digest, ManifestFacts>;
  /** Versions that load. */
  readonly sound: ReadonlySet<string>;
  /** Versions that do worse than the one before once they serve, and those whose golden samples give other answers then. */
  readonly worse: ReadonlySet<string>;
  readonly astray: ReadonlySet<string>;
  /** Versions whose golden samples were run again since they serve. */
  readonly rechecked: Set<string>;
  /** Models whose versions on trial the device judges itself. */
  readonly guarded: ReadonlySet<string>;
}

const ANY = { inputs: [], outputs: [] };
const digest = (text: string): Digest => digestOfBytes(bytesFrom(text, 4));
const FOREVER = Number.MAX_SAFE_INTEGER;

const versionSeed = fc.record({
  version: fc.integer({ min: 1, max: 5 }),
  install: fc.constantFrom(...INSTALL_STATES),
  boots: fc.integer({ min: 0, max: 6 }),
  attempt: fc.integer({ min: 0, max: 1 }),
  lastUsedAt: fc.integer({ min: 0, max: 9 }),
  sound: fc.boolean(),
  conduct: fc.constantFrom('fine', 'fine', 'worse', 'astray'),
  onDisk: fc.constantFrom('none', 'manifest', 'all', 'all', 'all'),
  servable: fc.constantFrom(undefined, undefined, 'available', 'failed'),
  usable: fc.constantFrom(true, true, true, false),
  /** Small numbers: versions and models share files. */
  files: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 }),
});

const candidateSeed = fc.record({
  version: fc.integer({ min: 1, max: 6 }),
  attempt: fc.integer({ min: 0, max: 1 }),
  sound: fc.boolean(),
  action: fc.constantFrom(...CANDIDATE_ACTIONS),
});

const modelSeed = fc.record({
  versions: fc.uniqueArray(versionSeed, { maxLength: 4, selector: ({ version }) => version }),
  desired: fc.option(fc.record({ version: fc.integer({ min: 1, max: 6 }), attempt: fc.integer({ min: 0, max: 1 }), sound: fc.boolean() })),
  serving: fc.option(fc.integer({ min: 1, max: 5 })),
  lastKnownGood: fc.option(fc.integer({ min: 1, max: 5 })),
  minimumVersion: fc.integer({ min: 0, max: 3 }),
  /** A version to have beside it, and what the runtime did with one so far. */
  candidate: fc.option(candidateSeed),
  traffic: fc.option(fc.integer({ min: 1, max: 5 }), { freq: 4 }),
  guarded: fc.boolean(),
  trippedAttempt: fc.option(fc.integer({ min: 0, max: 1 }), { freq: 5 }),
});

const worldSeed = fc.record({
  models: fc.array(modelSeed, { minLength: 1, maxLength: 3 }),
  budgetBytes: fc.integer({ min: 5, max: 100 }),
  desiredKnown: fc.boolean(),
  diskFull: fc.boolean(),
  freeMemoryBytes: fc.constantFrom(0, 100),
});
type WorldSeed = typeof worldSeed extends fc.Arbitrary<infer T> ? T : never;

function build(seed: WorldSeed): World {
  const manifests = new Map<Digest, ManifestFacts>();
  const sound = new Set<string>();
  const [worse, astray] = [new Set<string>(), new Set<string>()];
  const blobs = new Map<Digest, BlobEntry>();
  const put = (entry: Digest, bytes: number): void => void blobs.set(entry, { digest: entry, bytes, complete: true });
  const models = seed.models.map((model, index): ModelSnapshot => {
    const name = modelName(`m${index}`);
    const manifestOf = (version: number): Digest => digest(`manifest ${index} ${version}`);
    const versions = model.versions.map((version): VersionFacts => {
      const manifest = manifestOf(version.version);
      const artifacts = version.files.map((file) => ({ digest: digest(`file ${file}`), length: 3 + file }));
      manifests.set(manifest, { usable: version.usable, artifacts, loadBytes: 10, signature: ANY });
      if (version.sound) sound.add(`${name}@${version.version}`);
      if (version.conduct === 'worse') worse.add(`${name}@${version.version}`);
      if (version.conduct === 'astray') astray.add(`${name}@${version.version}`);
      if (version.onDisk !== 'none') put(manifest, 1);
      if (version.onDisk === 'all') for (const artifact of artifacts) put(artifact.digest, artifact.length);
      const { install, boots, attempt, lastUsedAt } = version;
      const record: VersionRecord = { model: name, version: versionNumber(version.version), manifest, install, boots, attempt, lastUsedAt };
      return {
        record,
        manifest: version.onDisk === 'none' ? undefined : manifests.get(manifest),
        failures: 0,
        ...(version.servable && { servable: { state: version.servable } }),
      };
    });
    const { desired, serving, lastKnownGood, candidate, traffic, trippedAttempt } = model;
    for (const named of [desired, candidate]) {
      if (named === null) continue;
      const manifest = manifestOf(named.version);
      if (!manifests.has(manifest))
        manifests.set(manifest, { usable: true, artifacts: [{ digest: digest('file 0'), length: 3 }], loadBytes: 10, signature: ANY });
      if (named.sound && !model.versions.some(({ version }) => version === named.version)) sound.add(`${name}@${named.version}`);
    }
    return {
      model: name,
      desired:
        desired === null || !seed.desiredKnown
          ? undefined
          : {
              model: name,
              version: versionNumber(desired.version),
              manifest: manifestOf(desired.version),
              attempt: desired.attempt,
              ...(candidate === null ? {} : { candidate: candidateOf(candidate, manifestOf) }),
            },
      serving:
        serving === null
          ? undefined
          : {
              model: name,
              serving: versionNumber(serving),
              lastKnownGood: lastKnownGood === null ? undefined : versionNumber(lastKnownGood),
            },
      routed: undefined,
      versions,
      minimumVersion: model.minimumVersion,
      servingSince: undefined,
      refusedManifest: undefined,
      held: [],
      ...(traffic === null
        ? {}
        : { traffic: { candidate: versionNumber(traffic), action: 'split', share: 0.5, sticky: 'key', salt: 'old' } }),
      ...(trippedAttempt === null ? {} : { trippedAttempt }),
    };
  });
  put(digest('orphan'), 2);
  const { budgetBytes, desiredKnown, diskFull, freeMemoryBytes } = seed;
  const guarded = new Set<string>(models.filter((_, index) => seed.models[index]?.guarded).map(({ model }) => model));
  const world = {
    snapshot: {
      now: 0,
      desiredKnown,
      models,
      blobs: [...blobs.values()],
      budgetBytes,
      diskFull,
      freeMemoryBytes,
      bake: 60,
      maxBoots: 2,
      startedAt: -600_000,
    },
    manifests,
    sound,
    worse,
    astray,
    rechecked: new Set<string>(),
    guarded,
  };
  judge(world);
  return world;
}

function candidateOf(
  seed: typeof candidateSeed extends fc.Arbitrary<infer T> ? T : never,
  manifestOf: (version: number) => Digest,
): DesiredCandidate {
  const { version, attempt, action } = seed;
  const share = action === 'stage' ? 0 : 0.5;
  return { version: versionNumber(version), manifest: manifestOf(version), attempt, action, share, sticky: 'key', salt: 'rollout' };
}

const FINE: BehaviourFigures = { predictions: 1_000, failed: 0, refused: 0, crashes: 0, latency: new QuantileSketch() };

/** What the device sees of a version that serves on trial, as that version's nature is. */
function judge(world: World): void {
  const models = world.snapshot.models.map((model): ModelSnapshot => {
    const { trial: _trial, ...rest } = model;
    const serves = model.versions.find(({ record }) => record.version === model.serving?.serving)?.record;
    if (!world.guarded.has(model.model) || serves?.install !== 'probation') return rest;
    const key = `${model.model}@${serves.version}`;
    const wrong = world.astray.has(key) ? 1 : 0;
    const golden = world.rechecked.has(key) ? { run: 1, wrong, reason: undefined } : undefined;
    const trial = world.worse.has(key) ? { ...FINE, failed: 900 } : FINE;
    return { ...rest, trial: { baseline: FINE, trial, golden, limits: guardLimits(undefined) } };
  });
  world.snapshot = { ...world.snapshot, models };
}

/** Does what the step promises; a step that cannot keep its promise here is a bug of the planner and throws. */
function apply(world: World, step: Step): void {
  const device = world.snapshot;
  if (step.kind === 'evict' || step.kind === 'sweep') {
    const gone = new Set<Digest>(step.digests);
    world.snapshot = { ...device, diskFull: false, blobs: device.blobs.filter((blob) => !gone.has(blob.digest)) };
    if (step.kind === 'evict') edit(world, step.model, (model) => without(model, step.version));
    refreshManifests(world);
    return;
  }
  const version = (model: ModelSnapshot): VersionFacts => {
    const facts = 'version' in step ? model.versions.find(({ record }) => record.version === step.version) : undefined;
    if (facts === undefined) throw new Error(`${step.kind} about a version that is not there`);
    return facts;
  };
  const change = (model: ModelSnapshot, record: Partial<VersionRecord>, more: Partial<VersionFacts> = {}): ModelSnapshot => {
    const before = version(model);
    const after = { ...before, ...more, record: { ...before.record, ...record } };
    return { ...model, versions: model.versions.map((facts) => (facts === before ? after : facts)) };
  };
  const hold = (model: ModelSnapshot): ModelSnapshot => ({
    ...model,
    held: [...model.held, { key: stepKey(step), until: FOREVER } satisfies HeldStep],
  });
  edit(world, step.model, (model) => {
    switch (step.kind) {
      case 'accept': {
        const known = model.versions.find(({ record }) => record.version === step.version);
        const record = {
          model: model.model,
          version: step.version,
          manifest: step.manifest,
          install: 'wanted',
          boots: 0,
          attempt: step.attempt,
          lastUsedAt: 10,
        } as const;
        const facts = { ...(known ?? { failures: 0 }), record, manifest: undefined };
        return { ...model, versions: [...model.versions.filter((other) => other !== known), facts] };
      }
      case 'refuse':
        return { ...model, refusedManifest: step.manifest };
      case 'lack':
        return hold(model);
      case 'fetchManifest': {
        const { record } = version(model);
        const begun =
          record.install === 'fetching' ? 'fetching' : nextState(record.install, record.install === 'wanted' ? 'begin' : 'lost');
        fetched(world, record.manifest, 1);
        return change(model, { install: begun, boots: 0 });
      }
      case 'fetchArtifact': {
        const artifact = version(model).manifest?.artifacts.find((candidate) => candidate.digest === step.digest);
        if (artifact === undefined) throw new Error('an artifact of another version');
        fetched(world, artifact.digest, artifact.length);
        return model;
      }
      case 'verify':
        return change(model, { install: 'staged' });
      case 'load': {
        const facts = version(model);
        if (
          !(facts.manifest?.artifacts.every((artifact) => world.snapshot.blobs.some((blob) => blob.digest === artifact.digest)) ?? false)
        ) {
          throw new Error('loaded without its files');
        }
        const { record } = facts;
        const started = { install: nextState(record.install, 'start'), boots: record.boots + 1 };
        const cleared = step.replaces === undefined ? model : unloaded(model, step.replaces);
        if (world.sound.has(`${model.model}@${step.version}`))
          return change(cleared, started, { servable: { state: 'available', since: world.snapshot.now } });
        const { serving, lastKnownGood } = model.serving ?? {};
        const served = record.install === 'good' || [serving, lastKnownGood].includes(step.version);
        const complete = completeDigests(world.snapshot);
        const others = [selfServing(model, complete), ...fallbacks(model, complete)].filter((other) => other && other !== facts);
        const isReplaceable = step.purpose === 'install' && (!served || others.length > 0);
        return isReplaceable || (record.install === 'probation' && others.length > 0)
          ? unloaded(change(cleared, { install: 'bad', attempt: attemptOf(model, record) }), step.version)
          : hold(unloaded(cleared, step.version));
      }
      case 'switch': {
        const { record } = version(model);
        const switched = change(model, { install: nextState(record.install, 'switched') });
        return serve(switched, step.version);
      }
      case 'rollBack':
        return serve(model, step.version);
      case 'route':
        return { ...model, routed: step.version, servingSince: world.snapshot.now };
      case 'unload':
        return unloaded(model, step.version);
      case 'markGood':
        return change(model, { install: nextState(version(model).record.install, 'proved'), boots: 0 });
      case 'markBad':
        return change(model, {
          install: nextState(version(model).record.install, 'refuse'),
          attempt: attemptOf(model, version(model).record),
        });
      case 'withdraw':
        return { ...model, serving: undefined };
      case 'supersede':
        return change(model, { install: nextState(version(model).record.install, 'superseded'), boots: 0 });
      case 'direct': {
        const { traffic: _traffic, ...rest } = model;
        if (step.policy === undefined) return rest;
        if (version(model).servable?.state !== 'available') throw new Error('requests shared with a version that cannot answer');
        if (step.version === model.routed) throw new Error('requests shared with the version that has them all');
        return { ...rest, traffic: step.policy };
      }
      case 'recheck':
        world.rechecked.add(`${model.model}@${step.version}`);
        return model;
      case 'settle': {
        const { install } = version(model).record;
        return change(model, { install: nextState(install, install === 'good' ? 'proved' : 'superseded'), boots: 0 });
      }
      case 'forget':
      default:
        return { ...model, versions: model.versions.filter(({ record }) => record.version !== step.version) };
    }
  });
  refreshManifests(world);
  judge(world);
}

function edit(world: World, name: string, change: (model: ModelSnapshot) => ModelSnapshot): void {
  const models = world.snapshot.models.map((model) => (model.model === name ? change(model) : model));
  world.snapshot = { ...world.snapshot, models };
}

function without(model: ModelSnapshot, version: VersionNumber): ModelSnapshot {
  return { ...model, versions: model.versions.filter(({ record }) => record.version !== version || record.install === 'bad') };
}

function unloaded(model: ModelSnapshot, version: VersionNumber): ModelSnapshot {
  const versions = model.versions.map((facts) => {
    if (facts.record.version !== version) return facts;
    const { servable: _servable, ...rest } = facts;
    return rest;
  });
  return model.routed === version ? { ...model, versions, routed: undefined, servingSince: undefined } : { ...model, versions };
}

function serve(model: ModelSnapshot, version: VersionNumber): ModelSnapshot {
  const good = model.versions.find(({ record }) => record.version === model.serving?.serving && record.install === 'good');
  const serving: ServingRecord = {
    model: model.model,
    serving: version,
    lastKnownGood: good?.record.version === version ? undefined : good?.record.version,
  };
  const versions = model.versions.map((facts) =>
    facts.record.version === model.serving?.serving && facts.record.version !== version && facts.record.install === 'probation'
      ? { ...facts, record: { ...facts.record, install: 'staged' as const, boots: 0 } }
      : facts,
  );
  return { ...model, serving, versions, routed: version, servingSince: 0 };
}

function fetched(world: World, entry: Digest, bytes: number): void {
  const blobs = [...world.snapshot.blobs.filter((blob) => blob.digest !== entry), { digest: entry, bytes, complete: true }];
  world.snapshot = { ...world.snapshot, blobs };
}

function attemptOf(model: ModelSnapshot, record: VersionRecord): number {
  const named = [model.desired, model.desired?.candidate].find((entry) => entry?.version === record.version);
  return named?.attempt ?? record.attempt;
}

function refreshManifests(world: World): void {
  const present = new Set(world.snapshot.blobs.map((blob) => blob.digest));
  const models = world.snapshot.models.map((model) => ({
    ...model,
    versions: model.versions.map((facts) => ({
      ...facts,
      manifest: present.has(facts.record.manifest) ? world.manifests.get(facts.record.manifest) : undefined,
    })),
  }));
  world.snapshot = { ...world.snapshot, models };
}

function wasGood(seed: WorldSeed, model: string, version: number | undefined): boolean {
  return seed.models[Number(model.slice(1))]?.versions.find((known) => known.version === version)?.install === 'good';
}

/** Plans of all models at once: the steps that do not depend on each other, and the earliest time at which one changes. */
function plan(device: DeviceSnapshot): { readonly steps: readonly Step[]; readonly wakeAt: number | undefined } {
  const context = planContext(device);
  const plans = device.models.map((model) => planModel(model, context));
  const wakes = plans.flatMap(({ wakeAt }) => (wakeAt === undefined ? [] : [wakeAt]));
  return {
    steps: [...plans.flatMap(({ step }) => (step === undefined ? [] : [step])), ...context.space.steps],
    wakeAt: wakes.length === 0 ? undefined : Math.min(...wakes),
  };
}

/** Whole versions that served, or serve, and are allowed. */
function ableToServe(world: World, { serving, minimumVersion, versions }: ModelSnapshot): readonly VersionFacts[] {
  const complete = completeDigests(world.snapshot);
  return versions.filter((facts) => {
    const { version, install, boots } = facts.record;
    if (serving === undefined || !isComplete(facts, complete)) return false;
    return version === serving.serving
      ? install === 'good' || install === 'probation'
      : install === 'good' && boots < MAX_BOOTS_OF_GOOD && version >= minimumVersion;
  });
}

/** Every step that was done until the plan was empty and no time would change it. */
function runToTheEnd(world: World): Step[] {
  const done: Step[] = [];
  let idle = 0;
  for (let round = 0; round < 300; round += 1) {
    const { steps, wakeAt } = plan(world.snapshot);
    idle = steps.length === 0 ? idle + 1 : 0;
    // A version on trial is looked at again and again; when that changed nothing for long, nothing will.
    if (steps.length === 0 && (wakeAt === undefined || wakeAt === FOREVER || idle > 10)) return done;
    if (steps.length === 0 && wakeAt !== undefined) world.snapshot = { ...world.snapshot, now: wakeAt };
    const [step] = steps;
    if (step !== undefined) {
      done.push(step);
      apply(world, step);
    }
  }
  throw new Error(
    `no end: ${done
      .slice(-8)
      .map((step) => `${'model' in step ? step.model : ''} ${stepKey(step)}`)
      .join(', ')}`,
  );
}

describe('the plan, from any state a device can be found in', () => {
  it('comes to an end, every step keeps its promise, and then nothing is left to do', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build(seed);
        runToTheEnd(world);
        expect(plan(world.snapshot).steps).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never evicts what serves, is kept to go back to, is wanted or is loaded', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build(seed);
        const violations: string[] = [];
        for (let round = 0; round < 60; round += 1) {
          const { steps } = plan(world.snapshot);
          const complete = completeDigests(world.snapshot);
          const kept = world.snapshot.models.flatMap((model) => model.versions.filter((facts) => isProtected(model, facts, complete)));
          const files = new Set(
            kept.flatMap((facts) => [facts.record.manifest, ...(facts.manifest?.artifacts.map((artifact) => artifact.digest) ?? [])]),
          );
          for (const step of steps) {
            if (step.kind !== 'evict' && step.kind !== 'sweep') continue;
            if (step.digests.some((entry) => files.has(entry))) violations.push(stepKey(step));
            if (step.kind === 'evict' && kept.some(({ record }) => record.model === step.model && record.version === step.version))
              violations.push(stepKey(step));
          }
          const [step] = steps;
          if (step === undefined) break;
          apply(world, step);
        }
        expect(violations).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('ends with the wanted version answering wherever it is sound, allowed, fits, and was not marked bad', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build({ ...seed, budgetBytes: 1_000, desiredKnown: true, diskFull: false });
        runToTheEnd(world);
        const wrong = world.snapshot.models.filter(({ model, desired, routed, versions }) => {
          if (desired === undefined || !world.sound.has(`${model}@${desired.version}`)) return false;
          const record = versions.find((facts) => facts.record.version === desired.version)?.record;
          return record?.install === 'bad' ? record.attempt !== desired.attempt : routed !== desired.version;
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('has the version beside it do what is asked, or says that it cannot, and never lets it answer for the model', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build({ ...seed, budgetBytes: 1_000, desiredKnown: true, diskFull: false });
        runToTheEnd(world);
        const wrong = world.snapshot.models.filter(({ desired, serving, routed, traffic, versions, held }) => {
          if (traffic !== undefined && traffic.candidate === routed) return true;
          const candidate = desired?.candidate;
          const beside = candidate !== undefined && candidate.version !== desired?.version && candidate.version !== serving?.serving;
          // What is no longer asked for gets no requests.
          if (!beside || serving === undefined || routed !== serving.serving) return traffic !== undefined && !beside;
          // One failed as the answer to fall back on; that wait is for ever here, and as long as a backoff on a device.
          const waits = [desired, candidate].some((named) => held.some(({ key }) => key.startsWith(`load/${named?.version}/`)));
          if (waits) return traffic !== undefined;
          const facts = versions.find(({ record }) => record.version === candidate.version);
          if (facts?.record.install === 'bad') return facts.record.attempt !== candidate.attempt || traffic !== undefined;
          if (serving.serving !== desired?.version) return false;
          const asked = candidate.action === 'stage' ? traffic === undefined : traffic?.candidate === candidate.version;
          return facts?.servable?.state !== 'available' || !asked;
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes back what its own trial found worse, where there is something to go back to', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build({ ...seed, budgetBytes: 1_000, diskFull: false });
        const done = runToTheEnd(world);
        const kept = world.snapshot.models.filter(({ model, serving, routed, versions }) => {
          const serves = versions.find(({ record }) => record.version === serving?.serving);
          if (!world.guarded.has(model) || routed !== serving?.serving || serves?.record.install !== 'good') return false;
          // One that was good before it came here is not on trial.
          const proved = done.some((step) => step.kind === 'markGood' && step.model === model && step.version === serving?.serving);
          const switched = done.some((step) => step.kind === 'switch' && step.model === model && step.version === serving?.serving);
          return proved && switched && world.astray.has(`${model}@${serving?.serving}`) && !wasGood(seed, model, serving?.serving);
        });
        expect(kept).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it('goes back to another good version while the best one waits after a load that failed, and to the one that waits least', () => {
    const version = { install: 'good', boots: 0, attempt: 0, lastUsedAt: 0, conduct: 'fine', onDisk: 'all', servable: undefined } as const;
    const versions = [1, 2, 3].map((number) => ({ ...version, version: number, sound: true, usable: true, files: [0] }));
    const model = { desired: null, serving: 5, lastKnownGood: 2, minimumVersion: 0, candidate: null, traffic: null, guarded: false };
    const seed = { budgetBytes: 100, desiredKnown: false, diskFull: false, freeMemoryBytes: 100 } as const;
    const world = build({ ...seed, models: [{ ...model, versions, trippedAttempt: null }] });
    const next = (held: HeldStep[]) => {
      const { steps, wakeAt } = plan({ ...world.snapshot, models: world.snapshot.models.map((one) => ({ ...one, held })) });
      return { load: steps.flatMap((step) => (step.kind === 'load' ? [step.version] : [])), wakeAt };
    };
    expect(next([])).toEqual({ load: [2], wakeAt: undefined });
    expect(next([{ key: 'load/2/', until: 30 }])).toEqual({ load: [3], wakeAt: undefined });
    expect(next([30, 20].map((until, index) => ({ key: `load/${index + 2}/`, until })))).toEqual({ load: [1], wakeAt: undefined });
    expect(next([25, 30, 20].map((until, index) => ({ key: `load/${index + 1}/`, until })))).toEqual({ load: [], wakeAt: 20 });
  });

  it('wants a version to the end wherever a whole one was good or serving, whether it loads or not (R2)', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build(seed);
        const wanted = world.snapshot.models.filter((model) => model.desired !== undefined || !world.snapshot.desiredKnown);
        const able = wanted.filter((model) => ableToServe(world, model).length > 0);
        runToTheEnd(world);
        const givenUp = able.filter(({ model }) => {
          const after = world.snapshot.models.find((other) => other.model === model);
          return after?.serving === undefined || (after.routed === undefined && ableToServe(world, after).length === 0);
        });
        expect(givenUp.map(({ model }) => model)).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never leaves a model without an answer that has a good, complete, sound version to give it (R2)', () => {
    fc.assert(
      fc.property(worldSeed, (seed) => {
        const world = build({ ...seed, desiredKnown: false });
        const judged = world.snapshot.models.filter((model) => {
          const isSound = (version?: VersionNumber): boolean => world.sound.has(`${model.model}@${version}`);
          const able = ableToServe(world, model).map(({ record }) => record);
          // A serving version that does not load is only kept when there is nothing to replace it; loads of it are held here for ever.
          const proved = able.some(({ install, boots, version }) => install === 'good' && boots < MAX_BOOTS_OF_GOOD && isSound(version));
          return (
            (proved && isSound(model.serving?.serving)) ||
            (able.length > 0 && model.versions.every(({ record }) => isSound(record.version)))
          );
        });
        runToTheEnd(world);
        const silent = judged.filter(({ model }) => world.snapshot.models.find((other) => other.model === model)?.routed === undefined);
        expect(silent.map(({ model }) => model)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});
