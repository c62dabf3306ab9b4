import { z } from 'zod';
import { digestSchema, type Digest, type ModelName, versionNumberSchema } from '#shared/bundle/names.js';
import { publicKeySchema } from '#shared/trust/keys.js';
import type { BuiltFile } from './build.js';

// What publishing needs of a hub: the contract of its API, as far as publishers use it.

export const hubKeysSchema = z.object({
  fleet: z.string(),
  snapshot: publicKeySchema,
  timestamp: publicKeySchema,
  director: publicKeySchema,
});
export type HubPublicKeys = z.infer<typeof hubKeysSchema>;

export const publishedVersionSchema = z.object({ version: versionNumberSchema, manifest: digestSchema, contentIdentity: digestSchema });
export type PublishedVersion = z.infer<typeof publishedVersionSchema>;

export interface VersionUpload {
  readonly manifest: Uint8Array;
  /** TUF role that signed. */
  readonly role: string;
  /** The role's new targets metadata, signed. */
  readonly targets: unknown;
}

export interface PublisherHub {
  /** Bytes of a published trust file (`root.json`, `3.root.json`, `targets.json`, `<role>.json`); `undefined` when the hub has none. */
  metadata(file: string): Promise<Uint8Array | undefined>;
  hubKeys(): Promise<HubPublicKeys>;
  putRoot(root: Uint8Array): Promise<void>;
  /** `files`: contents of target files by path, that the hub is to hand out with the metadata. */
  putTargets(metadata: unknown, files?: Readonly<Record<string, Uint8Array>>): Promise<void>;
  /** Versions of a model, none when the hub does not know it. */
  versions(model: ModelName): Promise<readonly PublishedVersion[]>;
  hasArtifact(digest: Digest): Promise<boolean>;
  /** Streams a file up; `onBytes` is told how many bytes went out. */
  putArtifact(file: BuiltFile, onBytes: (sent: number) => void): Promise<void>;
  createVersion(model: ModelName, upload: VersionUpload): Promise<void>;
}
