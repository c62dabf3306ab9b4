import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { type DurableFs, nodeDurableFs, writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { fleetIdSchema } from '#shared/protocol/device.js';
import { type KeySecret, openOrCreateKeyFile, readKeyFile, type ScryptCost } from '#shared/trust/key-file.js';
import { publicKeySchema, type SigningKey } from '#shared/trust/keys.js';
import { type Kind, type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { roleNameSchema, targetsRoleSchema } from '#shared/trust/role-name.js';

const versionSchema = z.int().min(1);

/** Name under `metadata/` of the director file. */
export const DIRECTOR_FILE = 'director.json';

/** What the folder remembers of a role it signs for. */
const rememberedSchema = openObject({ version: versionSchema, digest: z.string().regex(/^[0-9a-f]{64}$/) });
export type Remembered = z.infer<typeof rememberedSchema>;

export const publisherRecordSchema = openObject({
  schema: z.literal('skerry.publisher/1'),
  fleet: fleetIdSchema,
  /** Present in the folder of the root keeper, absent in that of a publisher who only signs versions. */
  keeper: openObject({
    root: versionSchema,
    targets: versionSchema,
    /** Files of the keys under `keys/` that sign root and targets now. */
    rootKeys: z.array(z.string()).min(1),
    rootThreshold: versionSchema,
    targetsKey: z.string(),
  }).optional(),
  /** Root and top-level targets that the hub is known to hold: what it took, or gave and was verified. */
  hub: openObject({ root: rememberedSchema.optional(), targets: rememberedSchema.optional() }).optional(),
  /** Publisher roles whose keys lie here: key file, public key, newest version known to be published, newest signed. */
  publishers: z.record(
    roleNameSchema,
    openObject({
      key: z.string(),
      publicKey: publicKeySchema,
      published: rememberedSchema.optional(),
      signed: rememberedSchema,
      /** The newest file of each model's role that the hub is known to hold. */
      models: z.record(targetsRoleSchema, rememberedSchema).default({}),
    }),
  ),
});
export type PublisherRecord = z.infer<typeof publisherRecordSchema>;
export type KnownPublisher = PublisherRecord['publishers'][string];

const publicPartSchema = z.object({ publicKey: publicKeySchema });

export interface NamedKey {
  readonly file: string;
  readonly key: SigningKey;
}

interface PublisherFolderOptions {
  readonly cost?: ScryptCost;
  readonly fs?: DurableFs;
}

/** A folder on the machine of a root keeper or publisher: sealed keys, signed metadata, and what was published. Never on the hub. */
export class PublisherFolder {
  readonly path: string;
  /** What writes; tests cut the power at each call. */
  readonly fs: DurableFs;
  readonly #cost: ScryptCost | undefined;

  constructor(path: string, options: PublisherFolderOptions = {}) {
    this.path = path;
    this.fs = options.fs ?? nodeDurableFs;
    this.#cost = options.cost;
  }

  /** A draft of the changes that a command makes: it reads what was drafted before, and nothing of it is in the folder yet. */
  draft(): FolderDraft {
    return new FolderDraft(this.path, { fs: this.fs, ...(this.#cost === undefined ? {} : { cost: this.#cost }) });
  }

  /** Makes the folder where there is none. */
  async create(): Promise<void> {
    for (const name of ['keys', 'metadata']) await mkdir(join(this.path, name), { recursive: true, mode: 0o700 });
  }

  /** Removes what a crash left of files that were being written; only for who holds the lock. */
  async removeLeftovers(): Promise<void> {
    for (const folder of [this.path, join(this.path, 'metadata')]) {
      const names = await readdir(folder).catch(() => []);
      for (const name of names) if (name.endsWith('.tmp')) await this.fs.rm(join(folder, name), { force: true });
    }
  }

  /** The record, or `undefined` where nothing was made yet. */
  async find(): Promise<PublisherRecord | undefined> {
    try {
      const bytes = await readFile(join(this.path, 'publisher.json'));
      return parseJson(publisherRecordSchema, bytes, { what: 'publisher.json', maxBytes: LIMITS.trustFileBytes, code: 'TRUST_KEY_FILE' });
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }

  async record(): Promise<PublisherRecord> {
    const record = await this.find();
    if (record !== undefined) return record;
    throw new SkerryError('TRUST_KEY_FILE', `${this.path} is not a publisher folder; make one with "skerry trust init"`);
  }

  async save(record: PublisherRecord): Promise<void> {
    await writeFileAtomic(join(this.path, 'publisher.json'), `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600, fs: this.fs });
  }

  /** Makes a key sealed with `secret`, or opens the one an interrupted ceremony made. Returns it with its file name. */
  async createKey(name: string, secret: KeySecret): Promise<NamedKey> {
    const file = `${name}.key.json`;
    return { file, key: await openOrCreateKeyFile(join(this.path, 'keys', file), secret, this.#cost) };
  }

  openKey(file: string, secret: KeySecret): Promise<SigningKey> {
    return readKeyFile(join(this.path, 'keys', file), secret);
  }

  async openKeys(files: readonly string[], secret: KeySecret): Promise<readonly SigningKey[]> {
    return Promise.all(files.map((file) => this.openKey(file, secret)));
  }

  /** Files of the sealed keys that lie here, by public key. */
  async keyFiles(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (const name of await readdir(join(this.path, 'keys'))) {
      if (!name.endsWith('.key.json')) continue;
      const bytes = await readFile(join(this.path, 'keys', name));
      const { publicKey } = parseJson(publicPartSchema, bytes, { what: name, maxBytes: LIMITS.trustFileBytes, code: 'TRUST_KEY_FILE' });
      found.set(publicKey, name);
    }
    return found;
  }

  /** Keeps a signed file as `metadata/<version>.<role>.json`. */
  async keep(file: MetadataFile<Kind>): Promise<Remembered> {
    await this.write(`${file.version}.${file.role}.json`, file.bytes);
    return { version: file.version, digest: sha256Hex(file.bytes) };
  }

  async kept<K extends Kind>(kind: K, version: number, role: string = kind): Promise<MetadataFile<K>> {
    return parseMetadata(kind, await this.read(`${version}.${role}.json`), role);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await writeFileAtomic(this.#metadataPath(name), bytes, { fs: this.fs });
  }

  /** Removes a file under `metadata/`, if there is one. */
  async drop(name: string): Promise<void> {
    await this.fs.rm(this.#metadataPath(name), { force: true });
  }

  async read(name: string): Promise<Uint8Array> {
    const bytes = await this.tryRead(name);
    if (bytes !== undefined) return bytes;
    throw new SkerryError('TRUST_KEY_FILE', `${this.path} lacks the file metadata/${name}; "skerry trust recover" gets it from the hub`);
  }

  /** A file under `metadata/`; `undefined` where there is none. */
  async tryRead(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#metadataPath(name));
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }

  #metadataPath(name: string): string {
    return join(this.path, 'metadata', name);
  }
}

/** What a command is about to change in a publisher folder, held in memory until it lies in the outgoing file. */
export class FolderDraft extends PublisherFolder {
  readonly #files = new Map<string, Uint8Array>();
  #record: PublisherRecord | undefined;

  /** Files under `metadata/` that were drafted. */
  get files(): ReadonlyMap<string, Uint8Array> {
    return this.#files;
  }

  override async find(): Promise<PublisherRecord | undefined> {
    return this.#record ?? super.find();
  }

  override async save(record: PublisherRecord): Promise<void> {
    this.#record = record;
  }

  override async write(name: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(name, bytes);
  }

  override async tryRead(name: string): Promise<Uint8Array | undefined> {
    return this.#files.get(name) ?? super.tryRead(name);
  }
}
