import { SkerryError } from '#shared/kernel/errors.js';
import { DIRECTOR_TARGET_PATH } from '#shared/trust/desired.js';
import { type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { delegatedRoleNames } from '#shared/trust/model-role.js';
import { publisherOf } from '#shared/trust/role-name.js';
import { checkSignatures, isSignedBy } from '#shared/trust/signatures.js';
import { findTarget } from '#shared/trust/target-lookup.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import { nextRoot } from '#shared/trust/decide/root-chain.js';
import type { PublisherHub } from './hub-port.js';
import type { RoleStanding } from './trust-compare.js';
import { topRolesOf } from './trust-current.js';
import { withPublished } from './outgoing.js';
import { DIRECTOR_FILE, type PublisherFolder, type PublisherRecord } from './trust-folder.js';

/** Takes over what the hub holds of a role, once it is verified by what the folder holds: the hub is not trusted for it. */
export async function adoptFromHub(draft: PublisherFolder, hub: PublisherHub, standing: RoleStanding): Promise<void> {
  if (standing.role === 'root') return adoptRoots(draft, hub, standing);
  if (standing.role === 'targets') return adoptTargets(draft, hub, standing);
  return adoptPublisher(draft, standing);
}

/** Follows the chain of roots as a device would, from the newest one that both have. */
async function adoptRoots(draft: PublisherFolder, hub: PublisherHub, { folder, hub: theirs, relation }: RoleStanding): Promise<void> {
  const record = await draft.record();
  const { keeper } = record;
  if (keeper === undefined) return;
  let root = await commonRoot(draft, hub, Math.min(folder, theirs), relation);
  while (root.version < theirs) {
    root = nextRoot(root, await required(hub, `${root.version + 1}.root.json`));
    await draft.keep(root);
  }
  const files = await draft.keyFiles();
  const roles = topRolesOf(root);
  const held = (keys: readonly string[]): string[] => keys.flatMap((key) => files.get(key) ?? []);
  const rootKeys = held(roles.root.keys);
  const [targetsKey] = held(roles.targets.keys);
  if (rootKeys.length < roles.root.threshold || targetsKey === undefined) {
    throw new SkerryError(
      'TRUST_KEY_FILE',
      `root version ${root.version} names keys that ${draft.path} lacks: they were made after this copy of the folder. Use the folder that made them`,
    );
  }
  const remembered = { version: root.version, digest: sha256Hex(root.bytes) };
  const next = { ...keeper, root: root.version, rootKeys, rootThreshold: roles.root.threshold, targetsKey };
  await draft.save({ ...record, keeper: next, hub: { ...record.hub, root: remembered } });
}

/** The newest root at or below `version` of which folder and hub have the same file. */
async function commonRoot(draft: PublisherFolder, hub: PublisherHub, version: number, relation: string): Promise<MetadataFile<'root'>> {
  for (let number = version; number >= 1; number -= 1) {
    const own = await draft.kept('root', number);
    if (relation !== 'diverged') return own;
    const other = await hub.metadata(`${number}.root.json`);
    if (other !== undefined && Buffer.compare(other, own.bytes) === 0) return own;
  }
  throw new SkerryError('TRUST_FOLDER_DIVERGED', `the hub follows another root of trust than ${draft.path}: they share no root version`);
}

async function adoptTargets(draft: PublisherFolder, hub: PublisherHub, { given }: RoleStanding): Promise<void> {
  const record = await draft.record();
  if (record.keeper === undefined || given === undefined) return;
  const file = parseMetadata('targets', given);
  checkSignatures(await draft.kept('root', record.keeper.root), file);
  const digest = findTarget({ targets: file, roles: new Map() }, DIRECTOR_TARGET_PATH)?.digest;
  if (digest === undefined) throw new SkerryError('TRUST_DIRECTOR_MISSING', `the hub's targets do not list ${DIRECTOR_TARGET_PATH}`);
  const director = await required(hub, `${digest}.director.json`);
  if (sha256Hex(director) !== digest)
    throw new SkerryError('TRUST_DIRECTOR_HASH', 'the hub gave another director file than the targets list');
  await draft.write(DIRECTOR_FILE, director);
  const targets = await draft.keep(file);
  await draft.save({ ...record, keeper: { ...record.keeper, targets: file.version }, hub: { ...record.hub, targets } });
}

async function adoptPublisher(draft: PublisherFolder, { role, given }: RoleStanding): Promise<void> {
  const record = await draft.record();
  const publisher = publisherOf(role);
  const known = record.publishers[publisher];
  if (known === undefined || given === undefined) return;
  const file = parseMetadata('targets', given, role);
  if (!isSignedBy(file, known.publicKey)) {
    throw new SkerryError('TRUST_TARGETS_SIGNATURE', `the hub's file of role ${role} does not carry this publisher's signature`);
  }
  const next = withPublished(known, role, await draft.keep(file));
  await draft.save({ ...record, publishers: { ...record.publishers, [publisher]: next } });
}

/** What the hub lacks of what the folder keeps; `undefined` where it lacks nothing. */
export async function keptUpdate(
  folder: PublisherFolder,
  hub: PublisherHub,
  standings: readonly RoleStanding[],
): Promise<TrustUpdate | undefined> {
  const record = await folder.record();
  const behind = new Map(standings.filter(({ relation }) => relation === 'hub-behind').map((standing) => [standing.role, standing]));
  const roots = await missingRoots(folder, behind.get('root'));
  const roles: Record<string, Uint8Array> = {};
  for (const [role, { folder: version }] of behind) {
    if (role !== 'root' && role !== 'targets') roles[role] = await folder.read(`${version}.${role}.json`);
  }
  const targets = behind.has('targets') ? await keptTargets(folder, record) : {};
  const initial = targets.targets === undefined ? {} : await initialFiles(folder, hub, targets.targets, standings);
  if (roots.length === 0 && targets.targets === undefined && Object.keys(roles).length === 0) return undefined;
  return { ...(roots.length === 0 ? {} : { roots }), ...targets, roles: { ...initial, ...roles } };
}

/** Roots that the folder keeps and the hub lacks. */
export async function missingRoots(folder: PublisherFolder, standing: RoleStanding | undefined): Promise<readonly Uint8Array[]> {
  if (standing?.relation !== 'hub-behind') return [];
  const roots: Uint8Array[] = [];
  for (let version = standing.hub + 1; version <= standing.folder; version += 1) roots.push(await folder.read(`${version}.root.json`));
  return roots;
}

async function keptTargets(folder: PublisherFolder, { keeper }: PublisherRecord): Promise<Pick<TrustUpdate, 'targets' | 'director'>> {
  if (keeper === undefined) return {};
  return { targets: await folder.read(`${keeper.targets}.targets.json`), director: await folder.read(DIRECTOR_FILE) };
}

/** First files of publishers whose own folders are elsewhere, as they were let in: a delegation without a file is refused. */
async function initialFiles(
  folder: PublisherFolder,
  hub: PublisherHub,
  targets: Uint8Array,
  standings: readonly RoleStanding[],
): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  const own = new Set(standings.map(({ role }) => role));
  for (const role of delegatedRoleNames(parseMetadata('targets', targets))) {
    if (own.has(role) || (await hub.metadata(`${role}.json`)) !== undefined) continue;
    const kept = await folder.tryRead(`request.${role}.json`);
    if (kept === undefined) continue;
    files[role] = kept;
    for (const model of delegatedRoleNames(parseMetadata('targets', kept, role))) files[model] = await folder.read(`request.${model}.json`);
  }
  return files;
}

async function required(hub: PublisherHub, name: string): Promise<Uint8Array> {
  const bytes = await hub.metadata(name);
  if (bytes !== undefined) return bytes;
  throw new SkerryError('API_NOT_FOUND', `the hub does not give ${name}`);
}
