import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openObject } from '#shared/kernel/open-object.js';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { fleetIdSchema } from '#shared/protocol/device.js';
import { type KeySecret, openOrCreateKeyFile, readKeyFile, type ScryptCost } from '#shared/trust/key-file.js';
import { publicKeySchema, type SigningKey } from '#shared/trust/keys.js';
import { type Kind, type MetadataFile, parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { roleNameSchema } from '#shared/trust/update.js';

const versionSchema = z.int().min(1);

/** What the folder remembers of a role it signs for. */
const rememberedSchema = openObject({ version: versionSchema, digest: z.string().regex(/^[0-9a-f]{64}$/) });
export type Remembered = z.infer<typeof rememberedSchema>;

const trustFolderSchema = openObject({
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
  /** Publisher roles whose keys lie here: key file, public key, newest version known to be published, newest signed. */
  publishers: z.record(
    roleNameSchema,
    openObject({ key: z.string(), publicKey: publicKeySchema, published: rememberedSchema.optional(), signed: rememberedSchema }),
  ),
});
export type PublisherRecord = z.infer<typeof trustFolderSchema>;

export interface NamedKey {
  readonly file: string;
  readonly key: SigningKey;
}

/** A folder on the machine of a root keeper or publisher: sealed keys, signed metadata, and what was published. Never on the hub. */
export class PublisherFolder {
  readonly path: string;
  readonly #cost: ScryptCost | undefined;

  constructor(path: string, options: { readonly cost?: ScryptCost } = {}) {
    this.path = path;
    this.#cost = options.cost;
  }

  /** Makes the folder where there is none. */
  async create(): Promise<void> {
    for (const name of ['keys', 'metadata']) await mkdir(join(this.path, name), { recursive: true, mode: 0o700 });
  }

  /** The record, or `undefined` where nothing was made yet. */
  async find(): Promise<PublisherRecord | undefined> {
    try {
      const bytes = await readFile(join(this.path, 'publisher.json'));
      return parseJson(trustFolderSchema, bytes, { what: 'publisher.json', maxBytes: LIMITS.trustFileBytes, code: 'TRUST_KEY_FILE' });
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
    await writeFileAtomic(join(this.path, 'publisher.json'), `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600 });
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

  /** Keeps a signed file as `metadata/<version>.<role>.json`. */
  async keep(file: MetadataFile<Kind>): Promise<Remembered> {
    await writeFileAtomic(this.#metadataPath(`${file.version}.${file.role}.json`), file.bytes);
    return { version: file.version, digest: sha256Hex(file.bytes) };
  }

  async kept<K extends Kind>(kind: K, version: number, role: string = kind): Promise<MetadataFile<K>> {
    return parseMetadata(kind, await this.read(`${version}.${role}.json`), role);
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await writeFileAtomic(this.#metadataPath(name), bytes);
  }

  async read(name: string): Promise<Uint8Array> {
    try {
      return await readFile(this.#metadataPath(name));
    } catch (cause) {
      throw asSkerryError(cause, 'IO_FAILED');
    }
  }

  #metadataPath(name: string): string {
    return join(this.path, 'metadata', name);
  }
}
