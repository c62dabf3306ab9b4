import { type Digest, digestSchema } from '#shared/bundle/names.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import { type ManifestTargetCustom, manifestTargetCustomSchema } from '#shared/bundle/manifest.js';
import type { MetadataFile } from './metadata.js';
import { modelRoleFor } from './model-role.js';
import { modelOf } from './role-name.js';
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
    const target = targetOfPublisher(set.roles, role, path, unavailable);
    if (target !== undefined || terminating) return target; // TUF 5.6.7.2.1
  }
  return undefined;
}

/** The target as a publisher's file, or the role of the model below it, lists it. */
function targetOfPublisher(
  roles: TargetRoles['roles'],
  publisher: string,
  path: string,
  unavailable: ReadonlyMap<string, UnavailableRole>,
): ListedTarget | undefined {
  const trouble = unavailable.get(publisher);
  if (trouble !== undefined && trouble.lapsed === undefined) throw trouble.error;
  const file = trouble?.lapsed ?? roles.get(publisher);
  if (file === undefined) return undefined;
  const model = modelRoleFor(file, path);
  const target = ownTarget(file, path) ?? (model === undefined ? undefined : targetOfRole(roles, model, path, unavailable));
  if (target !== undefined && trouble !== undefined) throw trouble.error;
  return target;
}

function targetOfRole(
  roles: TargetRoles['roles'],
  role: string,
  path: string,
  unavailable: ReadonlyMap<string, UnavailableRole>,
): ListedTarget | undefined {
  const trouble = unavailable.get(role);
  if (trouble === undefined) return ownTarget(roles.get(role), path);
  if (trouble.lapsed === undefined || ownTarget(trouble.lapsed, path) !== undefined) throw trouble.error;
  return undefined;
}

/** Every publisher's role that lists a path it may list, most trusted first. */
export function listersOf(set: TargetRoles, path: string): readonly string[] {
  const delegated = set.targets.metadata.signed.delegations?.rolesForTarget(path) ?? [];
  return [...delegated].flatMap(({ role }) => targetOfPublisher(set.roles, role, path, NONE_UNAVAILABLE)?.role ?? []);
}

/** A published model version as its target entry describes it. */
interface ListedVersion {
  readonly target: ListedTarget;
  readonly custom: ManifestTargetCustom;
}

/** The model version a target stands for; `undefined` when its description does not fit its path. */
export function asVersion(target: ListedTarget): ListedVersion | undefined {
  const custom = manifestTargetCustomSchema.safeParse(target.custom);
  if (!custom.success || manifestTargetPath(custom.data.model, custom.data.version) !== target.path) return undefined;
  return { target, custom: custom.data };
}

/** Highest minimum version any effective target of the model states; 0 when none does. A recall cannot be undone by a later, lower statement. */
export function minimumVersionOf(set: TargetRoles, model: string): number {
  let highest = 0;
  for (const path of pathsOf(set, model)) {
    const target = findTarget(set, path);
    const version = target && asVersion(target);
    if (version?.custom.model === model) highest = Math.max(highest, version.custom.minimumVersion);
  }
  return highest;
}

/** Paths that any publisher lists for the model, in a file of its own or in the role of the model. */
function pathsOf({ roles }: TargetRoles, model: string): ReadonlySet<string> {
  const folder = manifestTargetPath(model, 1).replace(/[^/]*$/, '');
  const paths = new Set<string>();
  for (const file of roles.values()) {
    const listed = modelOf(file.role);
    if (listed !== undefined && listed !== model) continue;
    for (const path of Object.keys(file.metadata.signed.targets)) if (path.startsWith(folder)) paths.add(path);
  }
  return paths;
}

function ownTarget(file: MetadataFile<'targets'> | undefined, path: string): ListedTarget | undefined {
  if (file === undefined) return undefined;
  const { targets } = file.metadata.signed;
  const target = Object.hasOwn(targets, path) ? targets[path] : undefined;
  const digest = digestSchema.safeParse(target?.hashes['sha256']);
  if (target === undefined || !digest.success) return undefined;
  return { path, length: target.length, digest: digest.data, custom: target.custom, role: file.role };
}
