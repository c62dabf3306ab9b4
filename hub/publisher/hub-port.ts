import { z } from 'zod';
import {
  digestSchema,
  type Digest,
  modelNameSchema,
  type ModelName,
  type VersionNumber,
  versionNumberSchema,
} from '#shared/bundle/names.js';
import type { HubPublicKeys, TrustUpdate } from '#shared/trust/update.js';
import type { BuiltFile } from './build.js';

// What publishing needs of a hub: the contract of its API, as far as publishers use it.

export const publishedVersionSchema = z.object({ version: versionNumberSchema, manifest: digestSchema, contentIdentity: digestSchema });
export type PublishedVersion = z.infer<typeof publishedVersionSchema>;

export interface VersionUpload {
  readonly manifest: Uint8Array;
  /** Publisher that signed. */
  readonly role: string;
  /** The next signed targets files, by role. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

export interface Retirement {
  readonly versions: readonly VersionNumber[];
  /** Publisher that signed. */
  readonly role: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

export const retiredVersionsSchema = z.object({
  model: modelNameSchema,
  versions: z.array(versionNumberSchema),
  /** Artifacts that no other version needs, and their bytes. */
  artifacts: z.int(),
  bytes: z.int(),
});
export type RetiredVersions = z.infer<typeof retiredVersionsSchema>;

export interface PublisherHub {
  /** Bytes of a published trust file (`root.json`, `3.root.json`, `targets.json`, `<role>.json`); `undefined` when the hub has none. */
  metadata(file: string): Promise<Uint8Array | undefined>;
  hubKeys(): Promise<HubPublicKeys>;
  /** Hands signed trust files over; the hub takes all or none, and the same ones again change nothing. */
  putTrust(update: TrustUpdate): Promise<void>;
  /** Versions of a model, none when the hub does not know it. */
  versions(model: ModelName): Promise<readonly PublishedVersion[]>;
  hasArtifact(digest: Digest): Promise<boolean>;
  /** Streams a file up; `onBytes` is told how many bytes went out. */
  putArtifact(file: BuiltFile, onBytes: (sent: number) => void): Promise<void>;
  createVersion(model: ModelName, upload: VersionUpload): Promise<void>;
  /** Retires versions that the signed files name as such. */
  retireVersions(model: ModelName, retirement: Retirement): Promise<void>;
  /** What retiring the versions would come to; throws where something needs one of them. Nothing changes. */
  previewRetirement(model: ModelName, versions: readonly VersionNumber[]): Promise<RetiredVersions>;
}
