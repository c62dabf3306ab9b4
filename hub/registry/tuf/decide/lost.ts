import { type Kind, type MetadataFile, parseMetadata } from '#shared/trust/metadata.js';
import { checkSignatures } from '#shared/trust/signatures.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import { delegatedRoleNames } from '#shared/trust/model-role.js';
import type { Published } from '../publication.js';

// What a hub whose data was put back to a backup can learn from files that others kept. Pure.

/** Versions of the two roles that the hub signs itself. */
interface HubVersions {
  readonly snapshot: number;
  readonly timestamp: number;
}

/** A version this high was not reached by signing every hour; whoever has the key could end the numbers with it. */
const HIGHEST = 2 ** 40;

/** The highest versions that the hub's own signatures show; 0 for what is not there, not signed or not to be believed. */
export function lostVersions({ root }: Pick<Published, 'root'>, files: ReadonlyMap<string, Uint8Array>): HubVersions {
  const timestamp = signedBy(root, 'timestamp', files);
  const snapshot = signedBy(root, 'snapshot', files);
  const named = timestamp?.metadata.signed.snapshotMeta.version ?? 0;
  return { timestamp: bounded(timestamp?.version ?? 0), snapshot: bounded(Math.max(snapshot?.version ?? 0, named)) };
}

/** Newer files of root, targets and publishers among them, as an upload; undefined when there are none. What is wrong with one is for the checks of the upload. */
export function lostFiles(before: Published, files: ReadonlyMap<string, Uint8Array>): TrustUpdate | undefined {
  const root = newer('root', before.root, files);
  const targets = newer('targets', before.targets, files);
  const roles: Record<string, Uint8Array> = {};
  const take = (role: string): MetadataFile<'targets'> | undefined => {
    const file = newer('targets', before.roles.get(role), files, role);
    if (file !== undefined) roles[role] = file.bytes;
    return file ?? before.roles.get(role);
  };
  for (const publisher of delegatedRoleNames(targets ?? before.targets)) {
    const file = take(publisher);
    for (const model of file === undefined ? [] : delegatedRoleNames(file)) take(model);
  }
  if (root === undefined && targets === undefined && Object.keys(roles).length === 0) return undefined;
  const director = targets === undefined ? undefined : files.get('director.json');
  return {
    recovery: true,
    ...(root === undefined ? {} : { roots: [root.bytes] }),
    ...(targets === undefined ? {} : { targets: targets.bytes }),
    ...(director === undefined ? {} : { director }),
    roles,
  };
}

/** For people: which versions are others now. */
export function whatWasLost(before: Published, after: Published): string {
  const files = (set: Published): MetadataFile<Kind>[] => [set.root, set.targets, ...set.roles.values(), set.snapshot, set.timestamp];
  const versions = new Map(files(before).map((file) => [file.role, file.version]));
  const moved = files(after).filter((file) => file.version > (versions.get(file.role) ?? 0));
  return `trust metadata: ${moved.map((file) => `${file.role} ${versions.get(file.role) ?? 0} to ${file.version}`).join(', ')}`;
}

function newer<K extends 'root' | 'targets'>(
  kind: K,
  before: MetadataFile<K> | undefined,
  files: ReadonlyMap<string, Uint8Array>,
  role: string = kind,
): MetadataFile<K> | undefined {
  const file = read(kind, files, role);
  return file !== undefined && file.version > (before?.version ?? 0) ? file : undefined;
}

function signedBy<K extends 'timestamp' | 'snapshot'>(
  root: MetadataFile<'root'>,
  kind: K,
  files: ReadonlyMap<string, Uint8Array>,
): MetadataFile<K> | undefined {
  const file = read(kind, files, kind);
  if (file === undefined) return undefined;
  try {
    checkSignatures(root, file);
    return file;
  } catch {
    return undefined;
  }
}

function read<K extends Kind>(kind: K, files: ReadonlyMap<string, Uint8Array>, role: string): MetadataFile<K> | undefined {
  const bytes = files.get(`${role}.json`);
  if (bytes === undefined) return undefined;
  try {
    return parseMetadata(kind, bytes, role);
  } catch {
    return undefined;
  }
}

function bounded(version: number): number {
  return version <= HIGHEST ? version : 0;
}
