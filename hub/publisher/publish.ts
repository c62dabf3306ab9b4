import { kindRow } from '#shared/bundle/kinds.js';
import { digestOf } from '#shared/bundle/digest.js';
import { manifestTargetPath } from '#shared/bundle/kinds.js';
import { contentIdentity, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { type Digest, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { hasCode, SkerryError } from '#shared/kernel/errors.js';
import { type BuiltFile, type BuiltRelease, type BuiltVersion, numbered } from './build.js';
import type { PublishedVersion, PublisherHub } from './hub-port.js';
import type { VersionTarget } from './trust-sign.js';

/** Signs versions as a publisher that may, and hands them to the hub. */
export interface VersionPublisher {
  /** Runs what decides on a version and publishes it, while nobody else publishes from the same place. */
  exclusive<T>(use: () => Promise<T>): Promise<T>;
  /** Signs the target and gives it to the hub with its manifest. */
  publish(model: ModelName, target: VersionTarget, manifest: Uint8Array): Promise<void>;
}

interface PublishOptions {
  /** The number to publish under; the next one when left out. */
  readonly version?: VersionNumber;
  /** Versions below are never installed again, even by rollback; what was said before stays when left out. */
  readonly minimumVersion?: VersionNumber;
}

export type PublishStep =
  /** So many of the version's files, of so many bytes, are on the hub already. */
  | { readonly kind: 'present'; readonly files: number; readonly of: number; readonly bytes: number }
  /** So many bytes of all files that are uploaded were sent. */
  | { readonly kind: 'uploading'; readonly files: number; readonly sent: number; readonly bytes: number }
  | { readonly kind: 'signing'; readonly path: string };

export interface PublishResult {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly manifest: Digest;
  /** False when the same content was published before, under this version. */
  readonly created: boolean;
  readonly uploadedBytes: number;
  readonly totalBytes: number;
}

export interface PublishDeps {
  readonly hub: PublisherHub;
  readonly publisher: VersionPublisher;
  readonly clock: Clock;
}

/**
 * Publishes a built version: nothing when the hub has the same content already, else uploads what it lacks, signs the
 * manifest and posts both. `VERSION_CONFLICT` when the number asked for holds other content; every refusal of the hub.
 */
export async function publishVersion(
  built: BuiltVersion | BuiltRelease,
  options: PublishOptions,
  deps: PublishDeps,
  onStep: (step: PublishStep) => void = () => undefined,
): Promise<PublishResult> {
  const { model } = built.content;
  const totalBytes = bytesOf(built.files);
  const decided = await decideNow(built, options, deps, 1);
  if (decided.kind === 'same') return alreadyPublished(model, decided.published, totalBytes);
  const uploadedBytes = await uploadMissing(built, deps.hub, onStep);
  return deps.publisher.exclusive(async () => {
    let first = 1;
    for (let attempt = 1; ; attempt += 1) {
      // Somebody else may have published while this was uploaded or waited for its turn.
      const decision = await decideNow(built, options, deps, first);
      if (decision.kind === 'same') return alreadyPublished(model, decision.published, totalBytes);
      try {
        const manifest = await publishAs(built, decision.version, options, deps, onStep);
        return { model, version: decision.version, manifest, created: true, uploadedBytes, totalBytes };
      } catch (cause) {
        if (options.version !== undefined || attempt >= ATTEMPTS || !NUMBER_TAKEN.some((code) => hasCode(cause, code))) throw cause;
        first = decision.version + 1;
      }
    }
  });
}

/** How often another number is tried when one turns out to be taken. */
const ATTEMPTS = 5;
const NUMBER_TAKEN = ['VERSION_CONFLICT', 'VERSION_NOT_NEWER', 'TRUST_TARGET_TAKEN'] as const;

async function decideNow(
  built: BuiltVersion | BuiltRelease,
  options: PublishOptions,
  { hub }: PublishDeps,
  least: number,
): Promise<Exclude<VersionDecision, { kind: 'conflict' }>> {
  const { model } = built.content;
  const first = Math.max(least, kindRow(model).firstVersion);
  const decision = decideVersion(await hub.versions(model), contentIdentity(built.content), options.version, first);
  if (decision.kind !== 'conflict') return decision;
  throw new SkerryError('VERSION_CONFLICT', `${model}@${decision.version} is already published with other content`);
}

function alreadyPublished(model: ModelName, { version, manifest }: PublishedVersion, totalBytes: number): PublishResult {
  return { model, version, manifest, created: false, uploadedBytes: 0, totalBytes };
}

/** Numbers the manifest, has it signed and published; returns its digest. */
async function publishAs(
  built: BuiltVersion | BuiltRelease,
  version: VersionNumber,
  options: PublishOptions,
  deps: PublishDeps,
  onStep: (step: PublishStep) => void,
): Promise<Digest> {
  const { model } = built.content;
  const manifest = encodeManifest(numbered(built, version));
  const target: VersionTarget = {
    path: manifestTargetPath(model, version),
    length: manifest.byteLength,
    digest: digestOf(manifest),
    custom: {
      model,
      version,
      minimumVersion: options.minimumVersion ?? versionNumberSchema.parse(1),
      publishedAt: new Date(deps.clock.now()).toISOString(),
    },
  };
  onStep({ kind: 'signing', path: target.path });
  await deps.publisher.publish(model, target, manifest);
  return target.digest;
}

type VersionDecision =
  | { readonly kind: 'same'; readonly published: PublishedVersion }
  | { readonly kind: 'conflict'; readonly version: VersionNumber }
  | { readonly kind: 'new'; readonly version: VersionNumber };

/** Which version a content becomes: the one it is already, or the number asked for, or the next one, and at least `first`. Pure. */
export function decideVersion(
  published: readonly PublishedVersion[],
  identity: Digest,
  wanted: VersionNumber | undefined,
  first = 1,
): VersionDecision {
  const newestFirst = published.toSorted((a, b) => b.version - a.version);
  const same = newestFirst.find((entry) => entry.contentIdentity === identity && (wanted === undefined || entry.version === wanted));
  if (same !== undefined) return { kind: 'same', published: same };
  if (wanted !== undefined) {
    return published.some((entry) => entry.version === wanted) ? { kind: 'conflict', version: wanted } : { kind: 'new', version: wanted };
  }
  return { kind: 'new', version: versionNumberSchema.parse(Math.max(first, (newestFirst[0]?.version ?? 0) + 1)) };
}

async function uploadMissing(built: BuiltVersion | BuiltRelease, hub: PublisherHub, onStep: (step: PublishStep) => void): Promise<number> {
  const missing: BuiltFile[] = [];
  for (const file of built.files) if (!(await hub.hasArtifact(file.artifact.digest))) missing.push(file);
  const bytes = bytesOf(missing);
  const present = built.files.length - missing.length;
  if (present > 0) onStep({ kind: 'present', files: present, of: built.files.length, bytes: bytesOf(built.files) - bytes });
  let before = 0;
  for (const file of missing) {
    const reached = before;
    await hub.putArtifact(file, (sent) => onStep({ kind: 'uploading', files: missing.length, sent: reached + sent, bytes }));
    before += file.artifact.length;
  }
  return bytes;
}

function bytesOf(files: readonly BuiltFile[]): number {
  return files.reduce((sum, file) => sum + file.artifact.length, 0);
}
