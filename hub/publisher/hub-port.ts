import { z } from 'zod';
import { digestSchema, type Digest, type ModelName, versionNumberSchema } from '#shared/bundle/names.js';
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
}
