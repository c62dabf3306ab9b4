/** Where the hub keeps metadata files (a folder, S3, a table). Names are file names without folders. */
export interface TufStorage {
  /** The whole file; `undefined` when there is none. */
  get(file: string): Promise<Uint8Array | undefined>;
  /** Durable once resolved, and atomic: a reader sees the old or the new content. May replace a file. */
  put(file: string, bytes: Uint8Array): Promise<void>;
  /** Deletes every file but these. */
  keepOnly(files: ReadonlySet<string>): Promise<void>;
}
