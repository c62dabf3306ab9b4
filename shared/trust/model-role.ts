import { isOfLaterKind, manifestPattern, modelOfTarget } from '#shared/bundle/kinds.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { MetadataFile } from './metadata.js';
import { modelOf, modelRoleName, publisherOf } from './role-name.js';

/** Roles to which a targets file delegates, most trusted first: publishers, or the models of a publisher. */
export function delegatedRoleNames(file: MetadataFile<'targets'>): readonly string[] {
  return Object.keys(file.metadata.signed.delegations?.roles ?? {});
}

/** The role of a publisher's models that may list a path; `undefined` where it delegates none. By name: there is one for each model. */
export function modelRoleFor(publisher: MetadataFile<'targets'>, path: string): string | undefined {
  const role = modelRoleName(publisher.role, modelOfTarget(path));
  return Object.hasOwn(publisher.metadata.signed.delegations?.roles ?? {}, role) ? role : undefined;
}

/**
 * A publisher delegates to roles of its own models and to no others: a role named like another publisher's could put its own file in
 * that one's place. Kinds of versions that only a later release knows are passed over. The role of a model delegates no further. Throws `TRUST_TARGETS_FORMAT`.
 */
export function checkDelegations(file: MetadataFile<'targets'>): void {
  const { delegations } = file.metadata.signed;
  if (file.role === 'targets' || delegations === undefined) return;
  const isModel = modelOf(file.role) !== undefined;
  for (const { name, paths, terminating } of Object.values(delegations.roles ?? {})) {
    const model = modelOf(name);
    const isOwn = !isModel && publisherOf(name) === file.role && model !== undefined;
    const [path, ...others] = paths ?? [];
    const isOfModel = path !== undefined && others.length === 0 && (path === manifestPattern(model ?? '') || isOfLaterKind(path));
    if (isOwn && !terminating && isOfModel) continue;
    throw refused(file, `delegates to ${name}, which is not allowed`);
  }
  if (isModel) throw refused(file, 'delegates further, which is not allowed');
}

function refused(file: MetadataFile<'targets'>, says: string): SkerryError {
  return new SkerryError('TRUST_TARGETS_FORMAT', `publisher role ${file.role} ${says}`, { details: { role: file.role } });
}
