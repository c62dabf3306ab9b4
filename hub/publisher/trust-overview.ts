import type { EpochMillis } from '#shared/kernel/time.js';
import { type Kind, type MetadataFile, parseMetadata } from '#shared/trust/metadata.js';
import { delegatedRoleNames } from '#shared/trust/model-role.js';
import { delegationsOf, topRolesOf } from './trust-current.js';
import type { PublisherHub } from './hub-port.js';

export interface RoleOverview {
  readonly role: string;
  /** 0 where the hub publishes no file of the role. */
  readonly version: number;
  readonly expires: EpochMillis | undefined;
  readonly keys: number;
  readonly threshold: number;
  /** Models a publisher may publish; none for the top-level roles. */
  readonly models: readonly string[];
  /** True for a publisher that may publish releases of the agent. */
  readonly agent: boolean;
  /** Versions that the role lists, or the roles of its models. */
  readonly targets: number;
}

/** What a hub publishes about trust, role by role; `undefined` when it has no root yet. Signatures are the devices' to check. */
export async function readTrustOverview(hub: PublisherHub): Promise<readonly RoleOverview[] | undefined> {
  const rootBytes = await hub.metadata('root.json');
  if (rootBytes === undefined) return undefined;
  const root = parseMetadata('root', rootBytes);
  const roles = topRolesOf(root);
  const read = async <K extends Kind>(kind: K, role: string): Promise<MetadataFile<K> | undefined> => {
    const bytes = await hub.metadata(`${role}.json`);
    return bytes === undefined ? undefined : parseMetadata(kind, bytes, role);
  };
  const line = (
    role: string,
    file: MetadataFile<Kind> | undefined,
    keys: { keys: readonly string[]; threshold: number },
  ): RoleOverview => ({
    role,
    version: file?.version ?? 0,
    expires: file?.expires,
    keys: keys.keys.length,
    threshold: keys.threshold,
    models: [],
    agent: false,
    targets: 0,
  });
  const targets = await read('targets', 'targets');
  const publishers: RoleOverview[] = [];
  for (const delegation of targets === undefined ? [] : delegationsOf(targets)) {
    const file = await read('targets', delegation.role);
    let listed = countTargets(file);
    for (const model of file === undefined ? [] : delegatedRoleNames(file)) listed += countTargets(await read('targets', model));
    publishers.push({
      ...line(delegation.role, file, delegation),
      models: delegation.models,
      agent: delegation.agent === true,
      targets: listed,
    });
  }
  return [
    line('root', root, roles.root),
    line('targets', targets, roles.targets),
    line('snapshot', await read('snapshot', 'snapshot'), roles.snapshot),
    line('timestamp', await read('timestamp', 'timestamp'), roles.timestamp),
    ...publishers,
  ];
}

function countTargets(file: MetadataFile<'targets'> | undefined): number {
  return Object.keys(file?.metadata.signed.targets ?? {}).length;
}
