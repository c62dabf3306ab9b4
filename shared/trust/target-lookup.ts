import { type Digest, digestSchema, type ModelName, type VersionNumber } from '#shared/bundle/names.js';
import { type ManifestTargetCustom, manifestTargetCustomSchema, manifestTargetPath } from '#shared/bundle/manifest.js';
import type { MetadataFile } from './metadata.js';
import type { UnavailableRole } from './decide/update-walk.js';

const NONE_UNAVAILABLE: ReadonlyMap<string, UnavailableRole> = new Map();

/** What lookups need of a set of metadata. */
export interface TargetRoles {
  readonly targets: MetadataFile<'targets'>;
  readonly roles: ReadonlyMap<string, MetadataFile<'targets'>>;
}

/** A target with the role whose word counts for it. */
export interface ListedTarget {
  readonly path: string;
  readonly length: number;
  readonly digest: Digest;
  readonly custom: unknown;
  readonly role: string;
}

/**
 * The target as the most trusted role delegated for its path lists it (TUF 5.6.7, preorder depth-first). Needs no network.
 * Throws the error of an unavailable role whose target this is, or may be. A role that only lapsed still says which targets
 * are its own, by a file the snapshot names as its newest: a path it does not list goes on to the next role.
 */
export function findTarget(
  set: TargetRoles,
  path: string,
  unavailable: ReadonlyMap<string, UnavailableRole> = NONE_UNAVAILABLE,
): ListedTarget | undefined {
  const own = ownTarget(set.targets, path);
  if (own !== undefined) return own;
  for (const { role, terminating } of set.targets.metadata.signed.delegations?.rolesForTarget(path) ?? []) {
    const trouble = unavailable.get(role);
    if (trouble !== undefined) {
      if (trouble.lapsed === undefined || ownTarget(trouble.lapsed, path) !== undefined) throw trouble.error;
      if (terminating) return undefined;
      continue;
    }
    const file = set.roles.get(role);
    const target = file === undefined ? undefined : ownTarget(file, path);
    if (target !== undefined) return target;
    if (terminating) return undefined; // TUF 5.6.7.2.1
  }
  return undefined;
}

/** Every target that a lookup by its path would find. */
export function listTargets(set: TargetRoles): readonly ListedTarget[] {
  const paths = new Set([set.targets, ...set.roles.values()].flatMap((file) => Object.keys(file.metadata.signed.targets)));
  return [...paths].flatMap((path) => findTarget(set, path) ?? []);
}

/** A published model version as its target entry describes it. */
export interface ListedVersion {
  readonly target: ListedTarget;
  readonly custom: ManifestTargetCustom;
}

/** The model version a target stands for; `undefined` when its description does not fit its path. */
export function asVersion(target: ListedTarget): ListedVersion | undefined {
  const custom = manifestTargetCustomSchema.safeParse(target.custom);
  if (!custom.success || manifestTargetPath(custom.data.model, custom.data.version) !== target.path) return undefined;
  return { target, custom: custom.data };
}

/** Highest minimum version any effective target states, by model (a recall cannot be undone by a later, lower statement). */
export function minimumVersions(set: TargetRoles): ReadonlyMap<ModelName, VersionNumber> {
  const minimums = new Map<ModelName, VersionNumber>();
  for (const target of listTargets(set)) {
    const version = asVersion(target);
    if (version === undefined) continue;
    const { model, minimumVersion } = version.custom;
    const before = minimums.get(model);
    if (before === undefined || minimumVersion > before) minimums.set(model, minimumVersion);
  }
  return minimums;
}

function ownTarget(file: MetadataFile<'targets'>, path: string): ListedTarget | undefined {
  const { targets } = file.metadata.signed;
  const target = Object.hasOwn(targets, path) ? targets[path] : undefined;
  const digest = digestSchema.safeParse(target?.hashes['sha256']);
  if (target === undefined || !digest.success) return undefined;
  return { path, length: target.length, digest: digest.data, custom: target.custom, role: file.role };
}
