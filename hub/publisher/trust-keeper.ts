import type { Clock } from '#shared/kernel/clock.js';
import { days, type Millis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { DIRECTOR_TARGET_PATH, type DirectorKeys } from '#shared/trust/desired.js';
import type { KeySecret } from '#shared/trust/key-file.js';
import type { PublicKey, SigningKey } from '#shared/trust/keys.js';
import { type MetadataFile, parseMetadata, sha256Hex, signMetadata } from '#shared/trust/metadata.js';
import { isSignedBy } from '#shared/trust/signatures.js';
import { commonFields, type Delegation, delegationsObject, rootSigned, targetObject } from '#shared/trust/metadata-build.js';
import { roleNameSchema } from '#shared/trust/role-name.js';
import type { HubPublicKeys, TrustUpdate } from '#shared/trust/update.js';
import { delegationsOf, type TopRoles, topRolesOf } from './trust-current.js';
import { DIRECTOR_FILE, type NamedKey, type PublisherFolder, type PublisherRecord } from './trust-folder.js';
import { createPublisher, type PublisherRequest } from './trust-sign.js';

/** How long root and top-level targets hold before they must be signed again. */
const KEEPER_LIFETIME: Millis = days(365);

/** What every ceremony needs. */
export interface Ceremony {
  readonly folder: PublisherFolder;
  /** Opens the sealed keys of the folder, and seals new ones. */
  readonly secret: KeySecret;
  readonly clock: Clock;
  /** Default `KEEPER_LIFETIME`. */
  readonly lifetime?: Millis;
}

interface RootPolicy {
  /** Number of root keys made (default 1). */
  readonly rootKeys?: number;
  /** How many of them must sign (default 1). */
  readonly rootThreshold?: number;
}

export interface InitTrust extends Ceremony, RootPolicy {
  readonly hub: HubPublicKeys;
  /** The first publisher, whose key is made in the same folder. */
  readonly publisher: { readonly role: string; readonly models: readonly string[]; readonly agent?: boolean };
}

/**
 * Makes the root of trust of a fleet: root, targets and publisher keys, `1.root.json`, `1.targets.json`, the publisher's empty
 * targets file and the director file. Returns what the hub is to take over first. Throws `TRUST_KEY_EXISTS` for a folder
 * that already keeps a root.
 */
export async function initTrust(options: InitTrust): Promise<TrustUpdate> {
  const { folder, secret, hub, publisher } = options;
  if ((await folder.find())?.keeper !== undefined) throw new SkerryError('TRUST_KEY_EXISTS', `${folder.path} already keeps a root`);
  const request = await createPublisher({ ...options, fleet: hub.fleet, role: publisher.role });
  const { rootKeys, rootThreshold } = await makeRootKeys(options, 1);
  const targetsKey = await folder.createKey('targets-1', secret);
  const roles: TopRoles = {
    root: { keys: publicKeys(rootKeys), threshold: rootThreshold },
    targets: { keys: publicKeys([targetsKey]), threshold: 1 },
    snapshot: { keys: [hub.snapshot], threshold: 1 },
    timestamp: { keys: [hub.timestamp], threshold: 1 },
  };
  const root = signMetadata('root', rootSigned(1, expiry(options), roles), signing(rootKeys));
  const { models, agent = false } = publisher;
  const delegation = { role: request.role, models, agent, keys: [request.publicKey], threshold: 1 };
  const director = directorBytes(hub);
  const targets = signTargets(options, 1, director, [delegation], targetsKey.key);
  await folder.write(DIRECTOR_FILE, director);
  await folder.keep(root);
  await folder.keep(targets);
  const keeper = { root: 1, targets: 1, rootKeys: rootKeys.map(({ file }) => file), rootThreshold, targetsKey: targetsKey.file };
  await folder.save({ ...(await folder.record()), keeper });
  return { roots: [root.bytes], targets: targets.bytes, roles: { [request.role]: request.file }, director };
}

interface RotateRoot extends Ceremony, RootPolicy {
  /** Makes a new targets key as well. */
  readonly rotateTargets?: boolean;
  /** New keys of the hub, when it lost or replaced its own. */
  readonly hub?: HubPublicKeys;
}

/** Replaces the root keys: the next root is signed by the old and the new ones (TUF 6.1), so that every device can follow. */
export async function rotateRoot(options: RotateRoot): Promise<TrustUpdate> {
  const { folder, secret, hub } = options;
  const { record, keeper, root, roles } = await openKeeper(folder);
  const version = root.version + 1;
  const oldKeys = await folder.openKeys(keeper.rootKeys, secret);
  const { rootKeys, rootThreshold } = await makeRootKeys(options, version);
  const targetsKey = options.rotateTargets === true ? await folder.createKey(`targets-${version}`, secret) : undefined;
  const next: TopRoles = {
    root: { keys: publicKeys(rootKeys), threshold: rootThreshold },
    targets: targetsKey === undefined ? roles.targets : { keys: publicKeys([targetsKey]), threshold: 1 },
    snapshot: hub === undefined ? roles.snapshot : { keys: [hub.snapshot], threshold: 1 },
    timestamp: hub === undefined ? roles.timestamp : { keys: [hub.timestamp], threshold: 1 },
  };
  const signed = signMetadata('root', rootSigned(version, expiry(options), next), [...oldKeys, ...signing(rootKeys)]);
  await folder.keep(signed);
  const after = {
    ...keeper,
    root: version,
    rootKeys: rootKeys.map(({ file }) => file),
    rootThreshold,
    targetsKey: targetsKey?.file ?? keeper.targetsKey,
  };
  await folder.save({ ...record, keeper: after });
  if (targetsKey === undefined && hub === undefined) return { roots: [signed.bytes] };
  return { roots: [signed.bytes], ...(await resignTargets(options, hub === undefined ? undefined : directorBytes(hub))) };
}

/** Signs root and top-level targets again, unchanged but for version and expiry. */
export async function renewTrust(options: Ceremony): Promise<TrustUpdate> {
  const { folder, secret } = options;
  const { record, keeper, root, roles } = await openKeeper(folder);
  const keys = await folder.openKeys(keeper.rootKeys, secret);
  const signed = signMetadata('root', rootSigned(root.version + 1, expiry(options), roles), keys);
  await folder.keep(signed);
  await folder.save({ ...record, keeper: { ...keeper, root: signed.version } });
  return { roots: [signed.bytes], ...(await resignTargets(options)) };
}

interface AddPublisher extends Ceremony {
  readonly request: PublisherRequest;
  /** Model names or patterns with `*` the publisher may publish. */
  readonly models: readonly string[];
  /** May publish releases of the agent. */
  readonly agent?: boolean;
}

/** Delegates model names to a publisher, or gives a known one another key or other names. */
export async function addPublisher(options: AddPublisher): Promise<TrustUpdate> {
  const { request, models, agent = false } = options;
  const role = roleNameSchema.parse(request.role);
  // Checked before anything is signed: the hub would only refuse it later, when the folder has moved on.
  if (!isSignedBy(parseMetadata('targets', request.file, role), request.publicKey)) {
    throw new SkerryError('TRUST_TARGETS_SIGNATURE', `the first file of publisher ${role} is not signed by its own key`);
  }
  const delegation: Delegation = { role, models, agent, keys: [request.publicKey], threshold: 1 };
  const update = await resignTargets(options, undefined, (before) =>
    before.some((known) => known.role === role)
      ? before.map((known) => (known.role === role ? delegation : known))
      : [...before, delegation],
  );
  // Kept for a hub that lost it: a delegation without a file is refused (`trust recover`).
  await options.folder.write(`request.${role}.json`, request.file);
  for (const [model, bytes] of Object.entries(request.models)) await options.folder.write(`request.${model}.json`, bytes);
  return { ...update, roles: { [role]: request.file, ...request.models } };
}

/** Takes the right to publish from a publisher; devices keep what they run, and take up nothing more of it. */
export async function removePublisher(options: Ceremony & { readonly role: string }): Promise<TrustUpdate> {
  const { role } = options;
  return resignTargets(options, undefined, (before) => {
    if (!before.some((known) => known.role === role)) throw new SkerryError('TRUST_ROLE_UNKNOWN', `no publisher ${role} is let in`);
    return before.filter((known) => known.role !== role);
  });
}

interface TargetsUpdate {
  readonly targets: Uint8Array;
  readonly director: Uint8Array;
}

async function resignTargets(
  options: Ceremony,
  newDirector?: Uint8Array,
  change: (before: readonly Delegation[]) => readonly Delegation[] = (before) => before,
): Promise<TargetsUpdate> {
  const { folder, secret } = options;
  const { record, keeper } = await openKeeper(folder);
  const before = await folder.kept('targets', keeper.targets);
  const director = newDirector ?? (await folder.read(DIRECTOR_FILE));
  const key = await folder.openKey(keeper.targetsKey, secret);
  const targets = signTargets(options, before.version + 1, director, change(delegationsOf(before)), key);
  await folder.write(DIRECTOR_FILE, director);
  await folder.keep(targets);
  await folder.save({ ...record, keeper: { ...keeper, targets: targets.version } });
  return { targets: targets.bytes, director };
}

function signTargets(
  options: Ceremony,
  version: number,
  director: Uint8Array,
  delegations: readonly Delegation[],
  key: SigningKey,
): MetadataFile<'targets'> {
  const target = targetObject({ length: director.byteLength, digest: sha256Hex(director) });
  const signed = {
    ...commonFields('targets', version, expiry(options)),
    targets: { [DIRECTOR_TARGET_PATH]: target },
    delegations: delegationsObject(delegations),
  };
  return signMetadata('targets', signed, [key]);
}

async function makeRootKeys(
  options: Ceremony & RootPolicy,
  version: number,
): Promise<{ readonly rootKeys: readonly NamedKey[]; readonly rootThreshold: number }> {
  const count = options.rootKeys ?? 1;
  const rootThreshold = options.rootThreshold ?? 1;
  if (rootThreshold > count || rootThreshold < 1) {
    throw new SkerryError('CONFIG_INVALID', `${rootThreshold} of ${count} root keys cannot sign`);
  }
  const names = Array.from({ length: count }, (_, index) => `root-${version}-${index + 1}`);
  return { rootKeys: await Promise.all(names.map((name) => options.folder.createKey(name, options.secret))), rootThreshold };
}

async function openKeeper(folder: PublisherFolder): Promise<{
  readonly record: PublisherRecord;
  readonly keeper: NonNullable<PublisherRecord['keeper']>;
  readonly root: MetadataFile<'root'>;
  readonly roles: TopRoles;
}> {
  const record = await folder.record();
  const { keeper } = keeperOf(record);
  const root = await folder.kept('root', keeper.root);
  return { record, keeper, root, roles: topRolesOf(root) };
}

function keeperOf(record: PublisherRecord): { readonly keeper: NonNullable<PublisherRecord['keeper']> } {
  if (record.keeper !== undefined) return { keeper: record.keeper };
  throw new SkerryError('TRUST_ROLE_UNKNOWN', 'this folder holds no root keys; use the folder of the root keeper');
}

/** Content of the target `hub/director.json`. */
function directorBytes(hub: HubPublicKeys): Uint8Array {
  const keys: DirectorKeys = { schema: 'skerry.director/1', fleet: hub.fleet, keys: [hub.director] };
  return new TextEncoder().encode(JSON.stringify(keys));
}

function expiry(options: Ceremony): number {
  return options.clock.now() + (options.lifetime ?? KEEPER_LIFETIME);
}

function publicKeys(keys: readonly NamedKey[]): readonly PublicKey[] {
  return keys.map(({ key }) => key.publicKey);
}

function signing(keys: readonly NamedKey[]): readonly SigningKey[] {
  return keys.map(({ key }) => key);
}
