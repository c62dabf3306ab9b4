import { z } from 'zod';
import { NEEDS_NEWER_AGENT } from '#shared/bundle/features.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { Reported, ReportedVersion } from '#shared/protocol/messages.js';
import type { CandidateAction } from '#shared/protocol/desired-rollout.js';

/**
 * How far a device is with a version it should run.
 * `waiting`: it has not said that it accepted the wish. `fetching`, `installing`: it says so. `serving`: it answers with it.
 * `removed`: it was to stop serving the model, and has. `refused`: it said no, with a code. `unsupported`: its agent lacks something that
 * the version needs, and takes it up once it is updated. `superseded`: a newer decision for the same
 * model took its place.
 */
export const PROGRESS_STATES = ['waiting', 'fetching', 'installing', 'serving', 'removed', 'refused', 'unsupported', 'superseded'] as const;

export const progressSchema = z.object({
  state: z.enum(PROGRESS_STATES),
  /** Bytes here of those needed, percent, while fetching. */
  percent: z.number().min(0).max(100).optional(),
  /** Finer state, as the device names it. */
  install: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
export type Progress = z.infer<typeof progressSchema>;

/** What a deployment wants of a device, and what the device was last told. */
export interface Wanted {
  readonly model: string;
  readonly version: number;
  readonly manifest: string;
  /** Counter of the newest statement issued to the device. */
  readonly counter: number;
}

/**
 * Refusals of a statement that a device judges again by itself, when newer metadata or a right time has come: they say nothing of the
 * version.
 */
const JUDGED_AGAIN: ReadonlySet<string> = new Set<ErrorCode>([
  'TRUST_DIRECTOR_MISSING',
  'TRUST_ROOT_MISSING',
  'TRUST_MIRROR_INCOMPLETE',
  'TRUST_DESIRED_SIGNATURE',
  'TRUST_SIGNED_IN_FUTURE',
  'TRUST_DESIRED_EXPIRED',
]);

/** How far a device is that has not accepted the newest statement. */
export function refusalProgress({ refused }: Reported['desired']): Progress {
  if (refused === undefined) return { state: 'waiting' };
  if (NEEDS_NEWER_AGENT.has(refused.code)) return { state: 'unsupported', error: refused };
  return { state: JUDGED_AGAIN.has(refused.code) ? 'waiting' : 'refused', error: refused };
}

/** Reads progress out of the newest reported state. */
export function progressOf(wanted: Wanted, reported: Reported | undefined): Progress {
  if (reported === undefined) return { state: 'waiting' };
  const { desired } = reported;
  const model = reported.models.find((entry) => entry.model === wanted.model);
  const version = model?.versions.find((entry) => entry.version === wanted.version && entry.manifest === wanted.manifest);
  // One marked bad may still answer, until the version before is loaded: that is no success.
  if (model !== undefined && version !== undefined && model.serving === wanted.version && version.install !== 'bad')
    return { state: 'serving', install: version.install };
  // What it says of the version was said before it heard of this decision (a retry, for one).
  if (desired.counter < wanted.counter) return refusalProgress(desired);
  if (version === undefined)
    return reported.trust.error === undefined ? { state: 'waiting' } : { state: 'waiting', error: reported.trust.error };
  return versionProgress(version);
}

/** What a device says of a version it is to have beside the one that serves; `serving` means that it does with it what it was told. */
export function candidateProgress(wanted: Wanted & { readonly action: CandidateAction }, reported: Reported | undefined): Progress {
  if (reported === undefined) return { state: 'waiting' };
  const model = reported.models.find((entry) => entry.model === wanted.model);
  const version = model?.versions.find((entry) => entry.version === wanted.version && entry.manifest === wanted.manifest);
  if (version !== undefined && model?.candidate?.version === wanted.version && model.candidate.action === wanted.action)
    return { state: 'serving', install: version.install };
  const progress = progressOf(wanted, reported);
  // It answers for the model already: not what was asked for, and no failure either.
  return progress.state === 'serving' ? { ...progress, state: 'waiting' } : progress;
}

/** How far a device is with a model that is taken off it. */
export function removalProgress(wanted: Pick<Wanted, 'model' | 'counter'>, reported: Reported | undefined): Progress {
  if (reported === undefined) return { state: 'waiting' };
  const { desired } = reported;
  if (desired.counter < wanted.counter) return refusalProgress(desired);
  const model = reported.models.find((entry) => entry.model === wanted.model);
  return model === undefined || model.serving === null ? { state: 'removed' } : { state: 'installing' };
}

function versionProgress(version: ReportedVersion): Progress {
  const { install, error, progress } = version;
  const common = { install, ...(error === undefined ? {} : { error }) };
  if (install === 'bad') return { state: 'refused', ...common };
  if (error !== undefined && NEEDS_NEWER_AGENT.has(error.code)) return { state: 'unsupported', ...common };
  if (install === 'wanted') return { state: error === undefined ? 'waiting' : 'refused', ...common };
  if (install !== 'fetching') return { state: 'installing', ...common };
  if (progress === undefined || progress.total === 0) return { state: 'fetching', ...common };
  return { state: 'fetching', percent: Math.min(100, (100 * progress.have) / progress.total), ...common };
}
