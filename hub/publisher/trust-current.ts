import { SkerryError } from '#shared/kernel/errors.js';
import { type PublicKey, publicKeySchema } from '#shared/trust/keys.js';
import type { MetadataFile } from '#shared/trust/metadata.js';
import type { Delegation, RoleKeys } from '#shared/trust/metadata-build.js';
import { isOfLaterKind, manifestPattern } from '#shared/bundle/kinds.js';
import { AGENT_MODEL } from '#shared/bundle/names.js';

const AGENT_PATHS = manifestPattern(AGENT_MODEL);

// Reads signed metadata back into the terms it was built from, so that the next version can be built with one thing changed.

export type TopRoles = Readonly<Record<'root' | 'targets' | 'snapshot' | 'timestamp', RoleKeys>>;

export function topRolesOf(root: MetadataFile<'root'>): TopRoles {
  const { keys, roles } = root.metadata.signed;
  const of = (name: keyof TopRoles): RoleKeys => {
    const role = roles[name];
    if (role === undefined) throw new SkerryError('TRUST_ROOT_FORMAT', `root version ${root.version} has no role ${name}`);
    return { keys: role.keyIDs.map((id) => publicKeyOf(keys, id)), threshold: role.threshold };
  };
  return { root: of('root'), targets: of('targets'), snapshot: of('snapshot'), timestamp: of('timestamp') };
}

export function delegationsOf(targets: MetadataFile<'targets'>): readonly Delegation[] {
  const { delegations } = targets.metadata.signed;
  return Object.values(delegations?.roles ?? {}).map((role) => {
    const paths = role.paths ?? [];
    const laterPaths = paths.filter(isOfLaterKind);
    const models = paths.filter((path) => path !== AGENT_PATHS && !laterPaths.includes(path));
    return {
      role: role.name,
      models: models.map((path) => path.split('/')[1] ?? path),
      agent: paths.includes(AGENT_PATHS),
      ...(laterPaths.length > 0 && { laterPaths }),
      keys: role.keyIDs.map((id) => publicKeyOf(delegations?.keys ?? {}, id)),
      threshold: role.threshold,
    };
  });
}

function publicKeyOf(keys: Readonly<Record<string, { readonly keyVal: Record<string, string> }>>, id: string): PublicKey {
  return publicKeySchema.parse(keys[id]?.keyVal['public']);
}
