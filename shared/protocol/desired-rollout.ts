import { z } from 'zod';
import { digestSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { days } from '#shared/kernel/time.js';
import { openObject } from '#shared/kernel/open-object.js';

/** What a device does with a version beside the one that serves. */
export const CANDIDATE_ACTIONS = ['stage', 'shadow', 'split'] as const;
export type CandidateAction = (typeof CANDIDATE_ACTIONS)[number];

/** A version to have loaded beside the one that serves. */
export const candidateSchema = openObject({
  version: versionNumberSchema,
  /** SHA-256 of the manifest; must equal the TUF target's. */
  manifest: digestSchema,
  /** As in the model's own entry. */
  attempt: z.int().min(0),
  /** `stage`: loaded and checked, answers nothing. `shadow`: runs on a share of the requests after they were answered. `split`: answers a share. */
  action: z.enum(CANDIDATE_ACTIONS),
  /** Share of the requests, 0 to 1; nothing for `stage`. */
  share: z.number().min(0).max(1),
  /** Who stays with one version in a split: the request's key, or the whole device. */
  sticky: z.enum(['key', 'device']),
  /** Mixed into the hash of key or device, so that two rollouts do not choose the same ones. */
  salt: z.string().max(128),
});
export type DesiredCandidate = z.infer<typeof candidateSchema>;

const factor = z.number().min(1).max(1000);

/**
 * What a version on trial is held to by the device itself, against the version before it. A limit left out is the device's own;
 * null turns that comparison off.
 */
const guardSchema = openObject({
  /** How long the trial takes, milliseconds. */
  bake: z.int().min(0).max(days(30)).optional(),
  /** Fewest predictions of the version on trial before rate and latency are judged. */
  predictions: z.int().min(1).max(1_000_000).optional(),
  /** Failed predictions: at most `ratio` times the old version's rate, and any rate up to `negligible`. */
  errors: openObject({ ratio: factor, negligible: z.number().min(0).max(1) })
    .nullable()
    .optional(),
  /** A quantile of the whole request: at most `ratio` times the old version's; quantiles up to `negligibleMs` pass. */
  latency: openObject({ quantile: z.number().min(0.01).max(0.999), ratio: factor, negligibleMs: z.number().min(0).max(600_000) })
    .nullable()
    .optional(),
  /** Unexpected ends of its workers that are tolerated during the trial. */
  crashes: z.int().min(0).max(1000).nullable().optional(),
  /** Whether its golden samples are run again before it counts as good. */
  golden: z.boolean().optional(),
});
export type DesiredGuard = z.infer<typeof guardSchema>;

/** Which rollout the entry belongs to; said back in events. */
export const rolloutRefSchema = openObject({
  id: z.string().min(1).max(128),
  wave: z.int().min(0),
  guard: guardSchema.optional(),
});
export type DesiredRollout = z.infer<typeof rolloutRefSchema>;
