import type { Clock } from '#shared/kernel/clock.js';
import { days, type Millis } from '#shared/kernel/time.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import type { ManifestTargetCustom } from '#shared/bundle/manifest.js';
import type { Digest, ModelName } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { fleetIdSchema } from '#shared/protocol/device.js';
import type { KeySecret } from '#shared/trust/key-file.js';
import type { PublicKey, SigningKey } from '#shared/trust/keys.js';
import { type JsonObject, type MetadataFile, type MetadataKinds, parseMetadata, sha256Hex, signMetadata } from '#shared/trust/metadata.js';
import { isSignedBy } from '#shared/trust/signatures.js';
import { commonFields, modelDelegationsObject, targetObject } from '#shared/trust/metadata-build.js';
import { delegatedRoleNames } from '#shared/trust/model-role.js';
import { isRetired, retiredIn, retiredMember, type VersionRanges, withRetired } from '#shared/trust/retired.js';
import { modelRoleName, roleNameSchema } from '#shared/trust/role-name.js';
import type { KnownPublisher, PublisherFolder, PublisherRecord, Remembered } from './trust-folder.js';

/** How long a publisher's targets file holds before it must be signed again. */
const PUBLISHER_LIFETIME: Millis = days(365);

interface PublisherSigning {
  readonly folder: PublisherFolder;
  readonly secret: KeySecret;
  readonly clock: Clock;
  readonly role: string;
  /** Default `PUBLISHER_LIFETIME`. */
  readonly lifetime?: Millis;
}

/** What a publisher hands to the root keeper to be delegated to. */
export interface PublisherRequest {
  readonly role: string;
  readonly publicKey: PublicKey;
  /** The role's newest targets file, at first empty, signed: a delegation without a file would stop every device. */
  readonly file: Uint8Array;
  /** The files of its models, by role: those of a publisher that was let in before. */
  readonly models: Readonly<Record<string, Uint8Array>>;
}

/** Makes a publisher's key in the folder and its first, empty targets file. The private key never leaves the folder. */
export async function createPublisher(options: PublisherSigning & { readonly fleet: string }): Promise<PublisherRequest> {
  const { folder, secret } = options;
  const role = roleNameSchema.parse(options.role);
  await folder.create();
  const record: PublisherRecord = (await folder.find()) ?? {
    schema: 'skerry.publisher/1',
    fleet: fleetIdSchema.parse(options.fleet),
    publishers: {},
  };
  const { file: keyFile, key } = await folder.createKey(`publisher-${role}`, secret);
  const known = record.publishers[role];
  if (known !== undefined) {
    const models: Record<string, Uint8Array> = {};
    for (const [model, { version }] of Object.entries(known.models)) models[model] = (await folder.kept('targets', version, model)).bytes;
    return { role, publicKey: key.publicKey, file: (await folder.kept('targets', known.signed.version, role)).bytes, models };
  }
  const file = signRole(options, { role, version: 1, targets: {} }, key);
  const signed = await folder.keep(file);
  const publishers = { ...record.publishers, [role]: { key: keyFile, publicKey: key.publicKey, signed, models: {} } };
  await folder.save({ ...record, publishers });
  return { role, publicKey: key.publicKey, file: file.bytes, models: {} };
}

/** The manifest of a version as TUF target. */
export interface VersionTarget {
  readonly path: string;
  readonly length: number;
  readonly digest: Digest;
  readonly custom: ManifestTargetCustom;
}

/** The newest targets file of a role as the hub gives it; `undefined` where it has none. */
export type CurrentFiles = (role: string) => Promise<Uint8Array | undefined>;

interface SignUpon extends PublisherSigning {
  readonly current: CurrentFiles;
}

export interface SignedVersion {
  /** Files to hand over by role: that of the model, which lists the version, and the publisher's where the model is new to it. */
  readonly roles: Readonly<Record<string, Uint8Array>>;
  /** False when the current file of the model says so already: it is the one given. */
  readonly changed: boolean;
}

/**
 * Adds a version to the publisher's targets for its model and signs the next file. The hub is not trusted for it: current files must
 * carry this publisher's own signature and be no older than what the folder remembers (`TRUST_PUBLISHER_ROLLBACK`).
 * Throws `TRUST_TARGET_TAKEN` when the path has another content already.
 */
export async function signVersionTarget(options: SignUpon & { readonly target: VersionTarget }): Promise<SignedVersion> {
  const { target, role: publisher } = options;
  const signer = await openSigner(options);
  const own = await signer.required(publisher);
  const role = modelRoleName(publisher, target.custom.model);
  const models = delegatedRoleNames(own);
  const before = models.includes(role) ? await signer.required(role) : undefined;
  const listed = [own, before].map((file) => file && entryOf(file, target.path)).find((entry) => entry !== undefined);
  if (listed !== undefined) {
    if (!isSameTarget(listed, target)) throw takenPath(target.path);
    return { roles: { [role]: (before ?? own).bytes }, changed: false };
  }
  const entry = { [target.path]: targetObject({ ...target, custom: { ...target.custom } }) };
  const listing = before === undefined ? entry : { ...targetsOf(before), ...entry };
  const next = await signer.sign({
    role,
    version: (before?.version ?? 0) + 1,
    targets: listing,
    ...(before && { retired: retiredIn(before) }),
  });
  if (before !== undefined) return { roles: { [role]: next }, changed: true };
  const delegating = { role: publisher, version: own.version + 1, targets: targetsOf(own), models: [...models, role] };
  return { roles: { [publisher]: await signer.sign(delegating), [role]: next }, changed: true };
}

interface RetireVersions extends SignUpon {
  readonly model: ModelName;
  readonly versions: readonly number[];
}

/**
 * Signs the next file of a model without these versions, which it names as retired. What their minimum versions ruled out stays ruled
 * out: the newest version takes the highest over. Returns the current file, unchanged, where all of them are retired already. Throws
 * `VERSION_UNKNOWN` for a version that was never listed, and `VERSION_NEWEST`.
 */
export async function retireVersions(options: RetireVersions): Promise<SignedVersion> {
  const { model, versions, role: publisher } = options;
  const signer = await openSigner(options);
  const own = await signer.required(publisher);
  const role = modelRoleName(publisher, model);
  if (!delegatedRoleNames(own).includes(role)) throw new SkerryError('MODEL_UNKNOWN', `${publisher} published no version of ${model}`);
  const before = await signer.required(role);
  const targets = targetsOf(before);
  const retired = retiredIn(before);
  const wanted = versions.filter((version) => !isRetired(retired, version));
  if (wanted.length === 0) return { roles: { [role]: before.bytes }, changed: false };
  const newest = Math.max(...Object.keys(targets).map((path) => Number(/(\d+)\.json$/.exec(path)?.[1])));
  const newestPath = manifestTargetPath(model, newest);
  const minimum = Math.max(...Object.values(before.metadata.signed.targets).map(({ custom }) => Number(custom?.['minimumVersion'] ?? 1)));
  for (const version of wanted) {
    const path = manifestTargetPath(model, version);
    if (!Object.hasOwn(targets, path)) throw new SkerryError('VERSION_UNKNOWN', `${publisher} lists no version ${version} of ${model}`);
    if (path === newestPath)
      throw new SkerryError(
        'VERSION_NEWEST',
        `${model}@${version} is the newest version of the model; it is retired once a newer one is published`,
      );
    delete targets[path];
  }
  const entry = entryOf(before, newestPath);
  if (entry !== undefined) targets[newestPath] = { ...entry.toJSON(), custom: { ...entry.custom, minimumVersion: minimum } };
  const next = { role, version: before.version + 1, targets, retired: withRetired(retired, wanted) };
  return { roles: { [role]: await signer.sign(next) }, changed: true };
}

/** Signs the publisher's current files again, unchanged but for version and expiry; by role. */
export async function renewPublisher(options: SignUpon): Promise<Readonly<Record<string, Uint8Array>>> {
  const signer = await openSigner(options);
  const own = await signer.required(options.role);
  const models = delegatedRoleNames(own);
  const roles: Record<string, Uint8Array> = {};
  for (const role of [options.role, ...models]) {
    const file = role === options.role ? own : await signer.required(role);
    const next = { role, version: file.version + 1, targets: targetsOf(file), retired: retiredIn(file) };
    roles[role] = await signer.sign(role === options.role && models.length > 0 ? { ...next, models } : next);
  }
  return roles;
}

/** What the next file of a role says. */
interface NextFile {
  readonly role: string;
  readonly version: number;
  readonly targets: JsonObject;
  /** Roles of models that a publisher's own file delegates to. */
  readonly models?: readonly string[];
  /** Versions of a model that are retired. */
  readonly retired?: VersionRanges;
}

interface RoleSigner {
  /** The current file of a role, verified by what the folder knows. Throws `TRUST_ROLE_UNKNOWN` where the hub has none. */
  required(role: string): Promise<MetadataFile<'targets'>>;
  /** Signs a file and keeps it in the folder; returns its bytes. */
  sign(next: NextFile): Promise<Uint8Array>;
}

async function openSigner(options: SignUpon): Promise<RoleSigner> {
  const { folder, role: publisher, secret } = options;
  const known = async (): Promise<KnownPublisher> => publisherOf(await folder.record(), publisher);
  const { key, publicKey } = await known();
  let opened: SigningKey | undefined;
  return {
    async required(role) {
      const bytes = await options.current(role);
      const { published, models } = await known();
      const before = role === publisher ? published : models[role];
      if (bytes === undefined) throw missingFile(role, before);
      const file = parseMetadata('targets', bytes, role);
      checkOwn(file, publicKey);
      checkNoRollback(file, before);
      // What another copy of the folder signed is kept as well: a hub that loses it gets it back from here.
      const given = before?.version === file.version ? before : await folder.keep(file);
      await remember(folder, publisher, role, { published: given });
      return file;
    },
    async sign(next) {
      opened ??= await folder.openKey(key, secret);
      const file = signRole(options, next, opened);
      await remember(folder, publisher, next.role, { signed: await folder.keep(file) });
      return file.bytes;
    },
  };
}

function signRole(
  options: PublisherSigning,
  { role, version, targets, models, retired = [] }: NextFile,
  key: SigningKey,
): MetadataFile<'targets'> {
  const expires = options.clock.now() + (options.lifetime ?? PUBLISHER_LIFETIME);
  const delegations = models === undefined ? {} : { delegations: modelDelegationsObject(key.publicKey, models) };
  return signMetadata(
    'targets',
    { ...commonFields('targets', version, expires), targets, ...delegations, ...retiredMember(retired) },
    [key],
    role,
  );
}

type TargetEntry = MetadataKinds['targets']['targets'][string];

function entryOf(file: MetadataFile<'targets'>, path: string): TargetEntry | undefined {
  const { targets } = file.metadata.signed;
  return Object.hasOwn(targets, path) ? targets[path] : undefined;
}

function isSameTarget(listed: TargetEntry, target: VersionTarget): boolean {
  return listed.length === target.length && listed.hashes['sha256'] === target.digest;
}

function takenPath(path: string): SkerryError {
  return new SkerryError('TRUST_TARGET_TAKEN', `${path} is published with another content`, { details: { path } });
}

function missingFile(role: string, published: Remembered | undefined): SkerryError {
  if (published === undefined) {
    return new SkerryError(
      'TRUST_ROLE_UNKNOWN',
      `the hub has no targets file of ${role}; the root keeper adds a publisher with "skerry trust add-publisher"`,
    );
  }
  return new SkerryError(
    'TRUST_PUBLISHER_ROLLBACK',
    `the hub has no targets file of ${role}; it took version ${published.version} before`,
    {
      details: { role, given: 0, published: published.version },
    },
  );
}

/** A hub could hand out a file it made itself, to have it signed: only what this key signed is built upon. */
function checkOwn(current: MetadataFile<'targets'>, publicKey: PublicKey): void {
  if (isSignedBy(current, publicKey)) return;
  throw new SkerryError('TRUST_TARGETS_SIGNATURE', `the hub's file of role ${current.role} does not carry this publisher's signature`);
}

function checkNoRollback(current: MetadataFile<'targets'>, published: Remembered | undefined): void {
  if (published === undefined || current.version > published.version) return;
  if (current.version === published.version && sha256Hex(current.bytes) === published.digest) return;
  throw new SkerryError(
    'TRUST_PUBLISHER_ROLLBACK',
    current.version === published.version
      ? `the hub gives another file as version ${current.version} of role ${current.role} than the one it took before`
      : `the hub gives version ${current.version} of role ${current.role}; it took version ${published.version} before`,
    { details: { role: current.role, given: current.version, published: published.version } },
  );
}

function targetsOf(file: MetadataFile<'targets'>): JsonObject {
  return Object.fromEntries(Object.entries(file.metadata.signed.targets).map(([path, target]) => [path, target.toJSON()]));
}

function publisherOf(record: PublisherRecord, role: string): KnownPublisher {
  const known = Object.hasOwn(record.publishers, role) ? record.publishers[role] : undefined;
  if (known !== undefined) return known;
  throw new SkerryError('TRUST_ROLE_UNKNOWN', `this folder holds no key of the publisher role ${role}`);
}

/** Of a model only what the hub is known to hold is remembered; what was signed for it lies under the number after that. */
async function remember(
  folder: PublisherFolder,
  publisher: string,
  role: string,
  { published, signed }: Partial<Record<'published' | 'signed', Remembered>>,
): Promise<void> {
  const record = await folder.record();
  const known = publisherOf(record, publisher);
  const own = { ...known, ...(published && { published }), ...(signed && { signed }) };
  const next = role === publisher ? own : { ...known, models: { ...known.models, ...(published && { [role]: published }) } };
  await folder.save({ ...record, publishers: { ...record.publishers, [publisher]: next } });
}
