import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';

/**
 * What this release understands beyond the first form of manifests and desired states. A document that would be misread
 * without one of them names it in `requires`. A name is never removed and never changes its meaning (docs/PROTOCOL.md).
 */
export const FEATURES: readonly string[] = [
  /** `goldenSamples[].tolerance.outputs`: without it, an output would be held to the general tolerance. */
  'output-tolerances',
  /** An input or output without a declared shape (`anyShape`), which would be taken for a scalar. */
  'any-shape',
  /** Golden samples whose values are not compared (`shapeOnly`), which would fail. */
  'golden-shape-only',
];

const featureNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'the name of a feature: lower-case letters, digits, "." and "-", at most 64');

/** Names of features, in a document that requires them or in the capabilities of a device. */
export const featureListSchema = z.array(featureNameSchema).max(LIMITS.features);

/** The required features that are not among `known`. */
export function lackingFeatures(required: readonly string[] | undefined, known: readonly string[] = FEATURES): readonly string[] {
  return (required ?? []).filter((feature) => !known.includes(feature));
}

const requiringSchema = z.object({ requires: featureListSchema });

/** `lackingFeatures` of a document that was not read yet: its other members may have a form that only those features explain. */
export function lackingFeaturesOf(document: unknown): readonly string[] {
  return lackingFeatures(requiringSchema.safeParse(document).data?.requires);
}

/** Throws `FEATURE_MISSING` when something needs features that this release lacks. */
export function requireFeatures(lacking: readonly string[], what: string): void {
  if (lacking.length === 0) return;
  throw new SkerryError('FEATURE_MISSING', `${what} needs ${lacking.join(', ')}, which this release of Skerry does not have`, {
    details: { features: lacking },
  });
}
