import type { Clock } from '#shared/kernel/clock.js';
import { days, type Millis } from '#shared/kernel/time.js';
import type { ManifestTargetCustom } from '#shared/bundle/manifest.js';
import type { Digest } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { fleetIdSchema } from '#shared/protocol/device.js';
import type { KeySecret } from '#shared/trust/key-file.js';
import type { PublicKey, SigningKey } from '#shared/trust/keys.js';
import { type JsonObject, type MetadataFile, type MetadataKinds, parseMetadata, sha256Hex, signMetadata } from '#shared/trust/metadata.js';
import { isSignedBy } from '#shared/trust/signatures.js';
import { commonFields, targetObject } from '#shared/trust/metadata-build.js';
import { roleNameSchema } from '#shared/trust/update.js';
import type { PublisherFolder, PublisherRecord, Remembered } from './trust-folder.js';

/** How long a publisher's targets file holds before it must be signed again. */
export const PUBLISHER_LIFETIME: Millis = days(365);

export interface PublisherSigning {
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
  /** The role's first targets file, empty and signed: a delegation without a file would stop every device. */
  readonly file: Uint8Array;
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
    return { role, publicKey: key.publicKey, file: (await folder.kept('targets', known.signed.version, role)).bytes };
  }
  const file = signRole(options, 1, {}, key);
  const signed = await folder.keep(file);
  const publishers = { ...record.publishers, [role]: { key: keyFile, publicKey: key.publicKey, signed } };
  await folder.save({ ...record, publishers });
  return { role, publicKey: key.publicKey, file: file.bytes };
}

/** The manifest of a version as TUF target. */
export interface VersionTarget {
  readonly path: string;
  readonly length: number;
  readonly digest: Digest;
  readonly custom: ManifestTargetCustom;
}

export interface SignedRole {
  readonly role: string;
  readonly version: number;
  readonly bytes: Uint8Array;
  /** False when the target was listed already with the same content: `bytes` is the current file. */
  readonly changed: boolean;
}

export interface SignVersion extends PublisherSigning {
  /** The role's current targets file as the hub gives it. */
  readonly current: Uint8Array;
  readonly target: VersionTarget;
}

/**
 * Adds a version to the publisher's targets and signs the next file. The hub is not trusted for it: the current file must
 * carry this publisher's own signature and be no older than what the folder remembers (`TRUST_PUBLISHER_ROLLBACK`).
 * Throws `TRUST_TARGET_TAKEN` when the path has another content already.
 */
export async function signVersionTarget(options: SignVersion): Promise<SignedRole> {
  const { target } = options;
  return signNext(options, (targets) => {
    const listed = targets[target.path];
    if (listed === undefined) return { [target.path]: targetObject({ ...target, custom: { ...target.custom } }) };
    if (listed.length === target.length && listed.hashes['sha256'] === target.digest) return undefined;
    throw new SkerryError('TRUST_TARGET_TAKEN', `${target.path} is published with another content`, { details: { path: target.path } });
  });
}

/** Signs the publisher's current targets again, unchanged but for version and expiry. */
export function renewPublisher(options: Omit<SignVersion, 'target'>): Promise<SignedRole> {
  return signNext(options, () => ({}));
}

async function signNext(
  options: Omit<SignVersion, 'target'>,
  added: (targets: MetadataKinds['targets']['targets']) => JsonObject | undefined,
): Promise<SignedRole> {
  const { folder, role, secret } = options;
  const record = await folder.record();
  const known = publisherOf(record, role);
  const current = parseMetadata('targets', options.current, role);
  checkOwn(current, known.publicKey);
  checkNoRollback(current, known.published);
  const published = { version: current.version, digest: sha256Hex(current.bytes) };
  const more = added(current.metadata.signed.targets);
  if (more === undefined) {
    await remember(folder, record, role, { published });
    return { role, version: current.version, bytes: current.bytes, changed: false };
  }
  const key = await folder.openKey(known.key, secret);
  const next = signRole(options, current.version + 1, { ...targetsOf(current), ...more }, key);
  await remember(folder, record, role, { published, signed: await folder.keep(next) });
  return { role, version: next.version, bytes: next.bytes, changed: true };
}

function signRole(options: PublisherSigning, version: number, targets: JsonObject, key: SigningKey): MetadataFile<'targets'> {
  const expires = options.clock.now() + (options.lifetime ?? PUBLISHER_LIFETIME);
  return signMetadata('targets', { ...commonFields('targets', version, expires), targets }, [key], options.role);
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

function publisherOf(record: PublisherRecord, role: string): PublisherRecord['publishers'][string] {
  const known = Object.hasOwn(record.publishers, role) ? record.publishers[role] : undefined;
  if (known !== undefined) return known;
  throw new SkerryError('TRUST_ROLE_UNKNOWN', `this folder holds no key of the publisher role ${role}`);
}

async function remember(
  folder: PublisherFolder,
  record: PublisherRecord,
  role: string,
  facts: Partial<Record<'published' | 'signed', Remembered>>,
): Promise<void> {
  const publishers = { ...record.publishers, [role]: { ...publisherOf(record, role), ...facts } };
  await folder.save({ ...record, publishers });
}
