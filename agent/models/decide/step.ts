import type { TrafficPolicy } from '#agent/inference/contract.js';
import type { StepError } from '#agent/install/decide/install-step.js';
import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';

interface OfVersion {
  readonly model: ModelName;
  readonly version: VersionNumber;
}

/** Every step of the plan and what it needs to know; union and executor derive from it. */
interface StepArguments {
  /** Note that the version is wanted, or wanted again after it was bad. */
  accept: OfVersion & { readonly manifest: Digest; readonly attempt: number };
  /** Say no to other content under an installed version. */
  refuse: OfVersion & { readonly manifest: Digest; readonly error: StepError };
  /** Say that this agent lacks features which the wish needs; nothing is held against the version. */
  lack: OfVersion & { readonly features: readonly string[] };
  fetchManifest: OfVersion;
  fetchArtifact: OfVersion & { readonly digest: Digest };
  verify: OfVersion;
  /** Load, golden check, warm-up; beside what serves, or in its place where memory is short. */
  load: OfVersion & { readonly purpose: 'install' | 'serve'; readonly replaces?: VersionNumber };
  /** Make a loaded version the one that serves. */
  switch: OfVersion;
  route: OfVersion;
  /** Let the version take or see part of the requests; without a policy it no longer does. */
  direct: OfVersion & { readonly policy: TrafficPolicy | undefined };
  /** Run the golden samples of the version on trial again. */
  recheck: OfVersion;
  /** A version beside the serving one stood for the bake time: attempts to load it took nothing down. */
  settle: OfVersion;
  /** Drain and free. */
  unload: OfVersion;
  markGood: OfVersion;
  markBad: OfVersion & { readonly error: StepError };
  /** Make a loaded good version serve in place of one that failed. */
  rollBack: OfVersion & { readonly from: VersionNumber };
  /** The model is no longer wanted here, or nothing of it can serve. */
  withdraw: { readonly model: ModelName; readonly version?: undefined };
  /** A trial ended without a verdict: another version is wanted now. */
  supersede: OfVersion;
  /** Drop the note of a version that never got as far as the disk and is no longer wanted. */
  forget: OfVersion;
  /** The files of a version leave the cache. */
  evict: OfVersion & { readonly digests: readonly Digest[] };
  /** Files that belong to no version leave the cache. */
  sweep: { readonly model?: undefined; readonly version?: undefined; readonly digests: readonly Digest[] };
}

export type StepKind = keyof StepArguments;
export type Step<K extends StepKind = StepKind> = { [P in K]: { readonly kind: P } & StepArguments[P] }[K];
/** A step that is about one version. */
export type VersionStep = Exclude<Step, { readonly version?: undefined }>;
