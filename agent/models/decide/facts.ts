import { heldUntil } from '#agent/install/decide/install-step.js';
import type { Digest, VersionNumber } from '#shared/bundle/names.js';
import type { Millis } from '#shared/kernel/time.js';
import type { DeviceSnapshot, ModelSnapshot, VersionFacts } from './snapshot.js';

// Questions about a snapshot that several rules ask. Pure.

/** Starts a version that was good before may take down before the last-known-good serves instead: three power cuts in a row happen. */
export const MAX_BOOTS_OF_GOOD = 5;

export function factsOf(model: ModelSnapshot, version: VersionNumber | undefined): VersionFacts | undefined {
  return version === undefined ? undefined : model.versions.find((facts) => facts.record.version === version);
}

/** How long the serving version has to prove itself. */
export function bakeOf(model: ModelSnapshot, device: DeviceSnapshot): Millis {
  return model.bake ?? device.bake;
}

/** Digests of complete files; kept with the list they come from, which stays the same while nothing comes or goes. */
export function completeDigests({ blobs }: Pick<DeviceSnapshot, 'blobs'>): ReadonlySet<Digest> {
  let digests = COMPLETE.get(blobs);
  if (digests === undefined) {
    digests = new Set(blobs.filter((blob) => blob.complete).map((blob) => blob.digest));
    COMPLETE.set(blobs, digests);
  }
  return digests;
}

const COMPLETE = new WeakMap<DeviceSnapshot['blobs'], ReadonlySet<Digest>>();

export function missingArtifacts(facts: VersionFacts, complete: ReadonlySet<Digest>): readonly { digest: Digest; length: number }[] {
  return facts.manifest?.artifacts.filter((artifact) => !complete.has(artifact.digest)) ?? [];
}

/** Manifest and every file needed are here. */
export function isComplete(facts: VersionFacts, complete: ReadonlySet<Digest>): boolean {
  return facts.manifest?.usable === true && missingArtifacts(facts, complete).length === 0;
}

/** The version has proved, or is proving, that it can serve. */
export function maySelfServe(facts: VersionFacts | undefined): facts is VersionFacts {
  return facts !== undefined && (facts.record.install === 'good' || facts.record.install === 'probation');
}

export function isLive(facts: VersionFacts): boolean {
  return facts.servable !== undefined && facts.servable.state !== 'unloaded' && facts.servable.state !== 'failed';
}

export function isAvailable(facts: VersionFacts): boolean {
  return facts.servable?.state === 'available';
}

/** The version that should serve, where it can. */
export function selfServing(model: ModelSnapshot, complete: ReadonlySet<Digest>): VersionFacts | undefined {
  const serves = factsOf(model, model.serving?.serving);
  if (!maySelfServe(serves)) return undefined;
  return isLive(serves) || (isComplete(serves, complete) && !isGivenUpUnnoted(model, serves)) ? serves : undefined;
}

/** It is to be marked bad, and that could not be written down yet: a full disk must not keep the model silent (R2). */
function isGivenUpUnnoted({ held }: ModelSnapshot, { record }: VersionFacts): boolean {
  return heldUntil(held, { kind: 'markBad', version: record.version }) !== undefined;
}

/**
 * What served, or was kept to roll back to, and is to be fetched again because no other version can answer: its files were lost.
 * Nothing else would bring it back where the hub wants a version that was given up (R2).
 */
export function toRestore(model: ModelSnapshot, complete: ReadonlySet<Digest>): VersionFacts | undefined {
  if (model.serving === undefined || selfServing(model, complete) !== undefined || fallbacks(model, complete).length > 0) return undefined;
  const { serving, lastKnownGood } = model.serving;
  return [serving, lastKnownGood]
    .map((version) => factsOf(model, version))
    .find((facts) => facts !== undefined && facts.record.install !== 'bad' && facts.record.version >= model.minimumVersion);
}

/** Versions that can take over by themselves, best first: the last-known-good, then other good ones, newest first. */
export function fallbacks(model: ModelSnapshot, complete: ReadonlySet<Digest>): readonly VersionFacts[] {
  const rank = (facts: VersionFacts): number => (facts.record.version === model.serving?.lastKnownGood ? 0 : 1);
  return model.versions
    .filter((facts) => {
      const { install, version, boots } = facts.record;
      if (install !== 'good' || version === model.serving?.serving) return false;
      // R1: below the publisher's minimum nothing is installed, also not by going back.
      if (version < model.minimumVersion || !isComplete(facts, complete)) return false;
      return isLive(facts) || boots < MAX_BOOTS_OF_GOOD;
    })
    .toSorted((a, b) => rank(a) - rank(b) || b.record.version - a.record.version);
}

/** What the device counts on for an answer: the version that serves, else the one that takes over, else the last resort. */
export function mainstay(model: ModelSnapshot, complete: ReadonlySet<Digest>): VersionFacts | undefined {
  if (model.serving === undefined) return undefined;
  return selfServing(model, complete) ?? fallbacks(model, complete)[0] ?? toRestore(model, complete);
}
