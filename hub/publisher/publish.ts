import { PACKAGED_RELEASE } from '#shared/bundle/agent-manifest.js';
import { digestOf } from '#shared/bundle/digest.js';
import { manifestTargetPath } from '#shared/bundle/manifest.js';
import { contentIdentity, encodeManifest } from '#shared/bundle/manifest-codec.js';
import { type Digest, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import type { Clock } from '#shared/kernel/clock.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type BuiltRelease, type BuiltVersion, numbered } from './build.js';
import type { PublishedVersion, PublisherHub } from './hub-port.js';
import type { VersionTarget } from './trust-sign.js';

/** A role's targets file that lists what was to be signed. */
export interface SignedTargets {
  readonly role: string;
  readonly bytes: Uint8Array;
  /** Remembers that the hub took the file, so that it can never be taken back unnoticed. */
  confirm(): Promise<void>;
}

/** Signs a version as the publisher that may. */
export type TargetSigner = (target: VersionTarget) => Promise<SignedTargets>;

export interface PublishOptions {
  /** The number to publish under; the next one when left out. */
  readonly version?: VersionNumber;
  /** Versions below are never installed again, even by rollback; what was said before stays when left out. */
  readonly minimumVersion?: VersionNumber;
}

export type PublishStep =
  | { readonly kind: 'present'; readonly digest: Digest; readonly length: number }
  | { readonly kind: 'uploading'; readonly digest: Digest; readonly sent: number; readonly length: number }
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
  readonly sign: TargetSigner;
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
  const totalBytes = built.files.reduce((sum, file) => sum + file.artifact.length, 0);
  const published = await deps.hub.versions(model);
  const first = built.content.kind === 'agent' ? PACKAGED_RELEASE + 1 : 1;
  const decision = decideVersion(published, contentIdentity(built.content), options.version, first);
  if (decision.kind === 'conflict') {
    throw new SkerryError('VERSION_CONFLICT', `${model}@${decision.version} is already published with other content`);
  }
  if (decision.kind === 'same') {
    const { version, manifest } = decision.published;
    return { model, version, manifest, created: false, uploadedBytes: 0, totalBytes };
  }
  const manifest = encodeManifest(numbered(built, decision.version));
  const uploadedBytes = await uploadMissing(built, deps.hub, onStep);
  const target: VersionTarget = {
    path: manifestTargetPath(model, decision.version),
    length: manifest.byteLength,
    digest: digestOf(manifest),
    custom: {
      model,
      version: decision.version,
      minimumVersion: options.minimumVersion ?? versionNumberSchema.parse(1),
      publishedAt: new Date(deps.clock.now()).toISOString(),
    },
  };
  onStep({ kind: 'signing', path: target.path });
  const signed = await deps.sign(target);
  await deps.hub.createVersion(model, { manifest, role: signed.role, targets: signed.bytes });
  await signed.confirm();
  return { model, version: decision.version, manifest: target.digest, created: true, uploadedBytes, totalBytes };
}

export type VersionDecision =
  | { readonly kind: 'same'; readonly published: PublishedVersion }
  | { readonly kind: 'conflict'; readonly version: VersionNumber }
  | { readonly kind: 'new'; readonly version: VersionNumber };

/** Which version a content becomes: the one it is already, or the number asked for, or the next one, `first` where there is none. Pure. */
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
  return { kind: 'new', version: versionNumberSchema.parse((newestFirst[0]?.version ?? first - 1) + 1) };
}

async function uploadMissing(built: BuiltVersion | BuiltRelease, hub: PublisherHub, onStep: (step: PublishStep) => void): Promise<number> {
  let uploaded = 0;
  for (const file of built.files) {
    const { digest, length } = file.artifact;
    if (await hub.hasArtifact(digest)) {
      onStep({ kind: 'present', digest, length });
    } else {
      await hub.putArtifact(file, (sent) => onStep({ kind: 'uploading', digest, sent, length }));
      uploaded += length;
    }
  }
  return uploaded;
}
