import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { REWRITING_FEATURES } from '#shared/onnx/offers.js';
import { featureOfKind, VERSION_KINDS } from './kinds.js';

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
  /** Inputs or outputs that are no plain tensors and are offered as tensors (docs/PROTOCOL.md), which would be missing. */
  ...REWRITING_FEATURES,
  /** The kinds of versions. */
  ...Object.keys(VERSION_KINDS).map(featureOfKind),
];

/**
 * Codes with which a device says that it cannot take something up before its agent is updated. They are never held against the
 * version: the agent does not mark it bad, and the hub counts no failed install.
 */
export const NEEDS_NEWER_AGENT: ReadonlySet<string> = new Set<ErrorCode>(['FEATURE_MISSING', 'FORMAT_NEWER']);

const featureNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'the name of a feature: lower-case letters, digits, "." and "-", at most 64');

/** Names of features, in a document that requires them or in the capabilities of a device. */
export const featureListSchema = z.array(featureNameSchema).max(LIMITS.features);

/** The required features that are not among `known`. */
export function lackingFeatures(required: readonly string[] | undefined, known: readonly string[] = FEATURES): readonly string[] {
  return (required ?? []).filter((feature) => !known.includes(feature));
}

/** The features that a version needs: those that its manifest names, and its kind where the manifest names one. */
export function requiredFeatures({
  requires,
  kind,
}: {
  readonly requires?: readonly string[] | undefined;
  readonly kind?: string | undefined;
}): readonly string[] {
  return [...(requires ?? []), ...(kind === undefined ? [] : [featureOfKind(kind)])];
}

const requiringSchema = z.object({ requires: featureListSchema });
const ofKindSchema = z.object({ kind: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/) });

/** `lackingFeatures` of a document that was not read yet: its other members may have a form that only those features explain. */
export function lackingFeaturesOf(document: unknown): readonly string[] {
  return lackingFeatures(requiringSchema.safeParse(document).data?.requires);
}

/** The same of a manifest that was not read yet. */
export function lackingFeaturesOfManifest(document: unknown): readonly string[] {
  const kind = ofKindSchema.safeParse(document).data?.kind;
  return [...lackingFeaturesOf(document), ...lackingFeatures(requiredFeatures({ kind }))];
}

/** Throws `FEATURE_MISSING` when something needs features that this release lacks. */
export function requireFeatures(lacking: readonly string[], what: string): void {
  if (lacking.length === 0) return;
  throw new SkerryError('FEATURE_MISSING', `${what} needs ${lacking.join(', ')}, which this release of Skerry does not have`, {
    details: { features: lacking },
  });
}
