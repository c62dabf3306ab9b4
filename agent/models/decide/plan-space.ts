import type { Digest, ModelName } from '#shared/bundle/names.js';
import { type Millis, minutes } from '#shared/kernel/time.js';
import { completeDigests, factsOf, isLive, mainstay, missingArtifacts, toRestore } from './facts.js';
import type { DeviceSnapshot, ModelSnapshot, VersionFacts } from './snapshot.js';
import type { Step } from './step.js';

/** Whether what a model still has to fetch fits: now, after an eviction that is planned, or never. */
export type Room = { readonly kind: 'now' } | { readonly kind: 'later' } | { readonly kind: 'never'; readonly neededBytes: number };

export interface SpacePlan {
  readonly steps: readonly Step[];
  roomFor(model: ModelName): Room;
}

interface Cached {
  readonly model: ModelName;
  readonly facts: VersionFacts;
  readonly protected: boolean;
  readonly files: readonly Digest[];
}

/** Everything asked of the disk at once, so that planning stays linear in what lies on it. */
interface Inventory {
  readonly present: ReadonlySet<Digest>;
  readonly complete: ReadonlySet<Digest>;
  readonly cached: readonly Cached[];
  /** In how many versions each file is. */
  readonly owners: ReadonlyMap<Digest, number>;
  readonly isFreeable: (digest: Digest) => boolean;
}

/**
 * Makes space for what is to be installed, oldest and least useful first (R4): files of no version, then bad and
 * half-done versions, then good ones by last use. What serves, the last-known-good, what is wanted and whatever is loaded are
 * never touched. Files of a model that was taken off this device go whether space is needed or not. One step at a time: what it freed is
 * seen before the next.
 */
export function planSpace(device: DeviceSnapshot): SpacePlan {
  const used = device.blobs.reduce((total, blob) => total + blob.bytes, 0);
  if (!device.diskFull && !hasLeftovers(device) && used + mostNeeded(device) <= device.budgetBytes) return ROOM_FOR_ALL;
  const inventory = takeInventory(device);
  const freeable = sum(device.blobs.filter((blob) => inventory.isFreeable(blob.digest)).map((blob) => blob.bytes));
  const needs = new Map(device.models.map((model) => [model.model, needOf(model, inventory)]));
  // Nothing is evicted for a version that would not fit anyway.
  const fitting = sum([...needs.values()].filter((bytes) => used + bytes - device.budgetBytes <= freeable));
  const over = used + fitting > device.budgetBytes || device.diskFull;
  const step = (over ? firstEviction(device, inventory) : undefined) ?? collection(device, inventory);
  return {
    steps: step === undefined ? [] : [step],
    roomFor(model) {
      const excess = used + (needs.get(model) ?? 0) - device.budgetBytes;
      if (excess > freeable) return { kind: 'never', neededBytes: excess - freeable };
      return excess > 0 ? { kind: 'later' } : { kind: 'now' };
    },
  };
}

/** The usual case needs no look at who owns which file. */
const ROOM_FOR_ALL: SpacePlan = { steps: [], roomFor: () => ({ kind: 'now' }) };

/** Bytes that could still be reserved, whatever of them is here already. */
function mostNeeded({ models }: DeviceSnapshot): number {
  let bytes = 0;
  for (const { versions } of models) {
    for (const { record, manifest } of versions) {
      if (record.install === 'fetching') bytes += sum(manifest?.artifacts.map((artifact) => artifact.length) ?? []);
    }
  }
  return bytes;
}

function takeInventory(device: DeviceSnapshot): Inventory {
  const complete = completeDigests(device);
  const cached = device.models.flatMap((model) =>
    model.versions.map((facts) => ({ model: model.model, facts, protected: isProtected(model, facts, complete), files: filesOf(facts) })),
  );
  const owners = new Map<Digest, number>();
  for (const digest of cached.flatMap((entry) => [...new Set(entry.files)])) owners.set(digest, (owners.get(digest) ?? 0) + 1);
  const kept = cached.filter((entry) => entry.protected);
  const keptFiles = new Set(kept.flatMap((entry) => entry.files));
  const anyMayBeKept = kept.some((entry) => ownsUnknown(entry.facts));
  return {
    present: new Set(device.blobs.map((blob) => blob.digest)),
    complete,
    cached,
    owners,
    isFreeable: (digest) => !anyMayBeKept && !keptFiles.has(digest) && device.foreign?.has(digest) !== true,
  };
}

/** What serves or can take over alone, the last-known-good and what is being installed are never evicted (R2). */
export function isProtected(model: ModelSnapshot, facts: VersionFacts, complete: ReadonlySet<Digest>): boolean {
  const { version, install } = facts.record;
  if (version === model.serving?.serving || version === model.serving?.lastKnownGood || isLive(facts)) return true;
  if (facts === mainstay(model, complete)) return true;
  return (version === model.desired?.version || version === model.desired?.candidate?.version) && install !== 'bad';
}

/** Bytes the version being fetched still has to reserve, the wanted one before the one beside it; downloads begun have theirs. */
function needOf(model: ModelSnapshot, { complete, present }: Inventory): number {
  const wanted = [model.desired, model.desired?.candidate, toRestore(model, complete)?.record];
  const facts = wanted
    .map((entry) => ({ manifest: entry?.manifest, found: factsOf(model, entry?.version) }))
    .find(({ manifest, found }) => found?.record.install === 'fetching' && found.record.manifest === manifest)?.found;
  if (facts === undefined) return 0;
  const lacking = missingArtifacts(facts, complete).filter((artifact) => !present.has(artifact.digest));
  return sum(lacking.map((artifact) => artifact.length));
}

function filesOf(facts: VersionFacts): readonly Digest[] {
  return [facts.record.manifest, ...(facts.manifest?.artifacts.map((artifact) => artifact.digest) ?? [])];
}

/** Was complete once, and its manifest can not be read now: any file may be one of its. */
function ownsUnknown({ record, manifest }: VersionFacts): boolean {
  return manifest === undefined && !['wanted', 'fetching', 'bad'].includes(record.install);
}

function firstEviction(device: DeviceSnapshot, inventory: Inventory): Step | undefined {
  const { cached, owners, isFreeable } = inventory;
  const orphans = device.blobs.map((blob) => blob.digest).filter((digest) => !owners.has(digest) && isFreeable(digest));
  if (orphans.length > 0) return { kind: 'sweep', digests: orphans };
  const useful = (entry: Cached): number => (entry.facts.record.install === 'good' ? 1 : 0);
  const [victim] = evictable(cached, inventory).toSorted(
    (a, b) => useful(a) - useful(b) || a.facts.record.lastUsedAt - b.facts.record.lastUsedAt,
  );
  return victim && evictionOf(victim, inventory);
}

/** So long the files of a model that was taken off lie here still: when that is taken back at once, nothing is fetched again. */
const KEPT_WHEN_OFF: Millis = minutes(1);

/** True for a model that the desired state no longer names, once it stopped serving. */
export function isOff({ desired, serving }: ModelSnapshot, device: Pick<DeviceSnapshot, 'desiredKnown'>): boolean {
  return device.desiredKnown && desired === undefined && serving === undefined;
}

/** True while something of a model that was taken off lies here. */
export function hasLeftovers(device: DeviceSnapshot): boolean {
  return device.models.some((model) => model.versions.length > 0 && isOff(model, device));
}

/** When the next files of a model that was taken off are collected, monotonic. */
export function nextCollection({ models }: DeviceSnapshot): Millis | undefined {
  const times = models.flatMap(({ offSince }) => (offSince === undefined ? [] : [offSince + KEPT_WHEN_OFF]));
  return times.length === 0 ? undefined : Math.min(...times);
}

/** What lies here of models that were taken off. */
function collection(device: DeviceSnapshot, inventory: Inventory): Step | undefined {
  const isDue = (model: ModelSnapshot): boolean => model.offSince !== undefined && device.now - model.offSince >= KEPT_WHEN_OFF;
  const off = new Set(device.models.filter((model) => isOff(model, device) && isDue(model)).map(({ model }) => model));
  const taken = inventory.cached.filter(({ model }) => off.has(model));
  const [victim] = evictable(taken, inventory);
  return victim && evictionOf(victim, inventory);
}

function evictable(entries: readonly Cached[], inventory: Inventory): Cached[] {
  return entries.filter((entry) => !entry.protected && isWorthEvicting(entry, ownFiles(entry, inventory), inventory.present));
}

function ownFiles({ files }: Cached, { present, owners }: Inventory): Digest[] {
  return files.filter((digest) => present.has(digest) && owners.get(digest) === 1);
}

function evictionOf(victim: Cached, inventory: Inventory): Step {
  return { kind: 'evict', model: victim.model, version: victim.facts.record.version, digests: ownFiles(victim, inventory) };
}

/**
 * It frees something; or its record alone goes, so that the last version sharing its files can be evicted with them. The
 * record of a bad version stays: it must not be tried again.
 */
function isWorthEvicting({ facts, files }: Cached, own: readonly Digest[], present: ReadonlySet<Digest>): boolean {
  return own.length > 0 || (facts.record.install !== 'bad' && files.some((digest) => present.has(digest)));
}

function sum(bytes: readonly number[]): number {
  return bytes.reduce((total, each) => total + each, 0);
}
