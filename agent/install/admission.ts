import { manifestTargetPath } from '#shared/bundle/kinds.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { VersionRecord } from '#agent/store/contract.js';
import type { TrustClient, VerifiedTarget } from './ports.js';

export interface AdmissionDeps {
  readonly trust: TrustClient;
  /** Lowest allowed version of each model, as last seen. */
  readonly minimums: Map<string, number>;
}

/** A version and the manifest that the hub names for it. */
export type SignedVersion = Pick<VersionRecord, 'model' | 'version' | 'manifest'>;

/**
 * Checks against the signed metadata that a version may be installed; returns its target. Named checks, each with its code:
 * a trusted publisher signed it, its digest is the one the hub asks for, it is not below the minimum.
 */
export async function requireAdmitted({ trust, minimums }: AdmissionDeps, record: SignedVersion): Promise<VerifiedTarget> {
  const { model, version } = record;
  const target = await trust.target(manifestTargetPath(model, version));
  const signed = requireSigned(target, model, version);
  requireSameManifest(signed, record);
  const minimum = await trust.minimumVersion(model);
  minimums.set(model, minimum);
  requireMinimum(model, version, minimum);
  return signed;
}

/** Asks for the lowest allowed version of a model; true when it is another one than before. */
export async function refreshMinimum({ trust, minimums }: AdmissionDeps, model: ModelName): Promise<boolean> {
  // An unknown minimum forbids nothing here: what is installed is checked again, and there an error counts.
  const minimum = await trust.minimumVersion(model).catch(() => undefined);
  if (minimum === undefined || minimum === minimums.get(model)) return false;
  minimums.set(model, minimum);
  return true;
}

/** R1: only what a trusted role lists. */
function requireSigned(target: VerifiedTarget | undefined, model: ModelName, version: VersionNumber): VerifiedTarget {
  if (target !== undefined) return target;
  throw new SkerryError('MODELS_NOT_TRUSTED', `no trusted publisher signed ${model} ${version}`);
}

/** Uptane 5.4.4.2: what the director names must be what the image repository signed. */
function requireSameManifest(target: VerifiedTarget, { model, version, manifest }: SignedVersion): void {
  if (target.digest === manifest) return;
  throw new SkerryError(
    'MODELS_MANIFEST_MISMATCH',
    `the hub deploys ${model} ${version} with manifest ${manifest}, but its publisher signed ${target.digest}`,
  );
}

/** R1: never below the minimum, whatever the hub says. */
function requireMinimum(model: ModelName, version: VersionNumber, minimum: number): void {
  if (version >= minimum) return;
  throw new SkerryError('MODELS_BELOW_MINIMUM', `${model} ${version} is below ${minimum}, the minimum version of its publisher`);
}
