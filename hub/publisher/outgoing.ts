import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type ModelName, modelNameSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { syncFolder, writeFileAtomic } from '#shared/kernel/atomic-file.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { asSkerryError, errnoOf } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { openObject } from '#shared/kernel/open-object.js';
import { parseMetadata, sha256Hex } from '#shared/trust/metadata.js';
import { publisherOf } from '#shared/trust/role-name.js';
import { decodeTrustUpdate, encodeTrustUpdate, type TrustUpdate, trustUpdateSchema } from '#shared/trust/update.js';
import {
  type FolderDraft,
  type PublisherFolder,
  publisherRecordSchema,
  type KnownPublisher,
  type PublisherRecord,
  type Remembered,
} from './trust-folder.js';

// The outgoing file: everything that one command signed, with what the folder becomes once the hub took it. It is written
// whole before anything is sent. Until it is gone, the folder is as it was, and the next command delivers it first.

const OUTGOING = 'outgoing.json';

const outgoingSchema = openObject({
  schema: z.literal('skerry.outgoing/1'),
  /** What was signed, for messages. */
  command: z.string().max(256),
  signedAt: z.iso.datetime(),
  update: trustUpdateSchema,
  /** A version that goes with the update: its manifest, and the role that lists it. */
  version: openObject({ model: modelNameSchema, manifest: z.base64(), role: z.string() }).optional(),
  /** Versions that the update retires. */
  retire: openObject({ model: modelNameSchema, versions: z.array(versionNumberSchema), role: z.string() }).optional(),
  /** Files under `metadata/` and `publisher.json` as they are afterwards. */
  files: z.record(z.string().regex(/^[a-z0-9._-]{1,224}\.json$/), z.base64()),
  record: publisherRecordSchema,
});
export type Outgoing = z.infer<typeof outgoingSchema>;

export interface Signed {
  readonly command: string;
  readonly at: EpochMillis;
  readonly update: TrustUpdate;
  readonly version?: { readonly model: ModelName; readonly manifest: Uint8Array; readonly role: string };
  readonly retire?: { readonly model: ModelName; readonly versions: VersionNumber[]; readonly role: string };
}

/** What a draft and the update signed in it come to. */
export async function outgoingOf(draft: FolderDraft, { command, at, update, version, retire }: Signed): Promise<Outgoing> {
  return {
    schema: 'skerry.outgoing/1',
    command,
    signedAt: new Date(at).toISOString(),
    update: encodeTrustUpdate(update),
    ...(version === undefined ? {} : { version: { ...version, manifest: Buffer.from(version.manifest).toString('base64') } }),
    ...(retire === undefined ? {} : { retire }),
    files: Object.fromEntries([...draft.files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')])),
    record: withTaken(await draft.record(), update),
  };
}

/** The record once the hub took an update. */
export function withTaken(record: PublisherRecord, update: TrustUpdate): PublisherRecord {
  const remembered = (version: number, bytes: Uint8Array): Remembered => ({ version, digest: sha256Hex(bytes) });
  const root = update.roots?.at(-1);
  const publishers = { ...record.publishers };
  for (const [role, bytes] of Object.entries(update.roles ?? {})) {
    const publisher = publisherOf(role);
    const known = Object.hasOwn(publishers, publisher) ? publishers[publisher] : undefined;
    if (known === undefined) continue;
    publishers[publisher] = withPublished(known, role, remembered(parseMetadata('targets', bytes, role).version, bytes));
  }
  if (record.keeper === undefined) return { ...record, publishers };
  const hub = {
    ...record.hub,
    ...(root === undefined ? {} : { root: remembered(parseMetadata('root', root).version, root) }),
    ...(update.targets === undefined ? {} : { targets: remembered(parseMetadata('targets', update.targets).version, update.targets) }),
  };
  return { ...record, publishers, hub };
}

/** What is remembered of a publisher once the hub holds a file of it, or of one of its models. */
export function withPublished(known: KnownPublisher, role: string, published: Remembered): KnownPublisher {
  if (publisherOf(role) !== role) return { ...known, models: { ...known.models, [role]: published } };
  return { ...known, published, signed: published };
}

export function updateOf(outgoing: Outgoing): TrustUpdate {
  return decodeTrustUpdate(outgoing.update);
}

/** Writes the outgoing file; durable once this resolves. */
export async function writeOutgoing(folder: PublisherFolder, outgoing: Outgoing): Promise<void> {
  await writeFileAtomic(join(folder.path, OUTGOING), JSON.stringify(outgoing), { mode: 0o600, fs: folder.fs });
}

/** What an earlier command signed and did not finish; `undefined` where there is nothing. */
export async function readOutgoing(folder: PublisherFolder): Promise<Outgoing | undefined> {
  try {
    const bytes = await readFile(join(folder.path, OUTGOING));
    return parseJson(outgoingSchema, bytes, { what: `${folder.path}/${OUTGOING}`, maxBytes: LIMITS.outgoingBytes, code: 'TRUST_KEY_FILE' });
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw asSkerryError(cause, 'IO_FAILED');
  }
}

/** The hub took it: the folder becomes what the outgoing file says. Repeated after a crash at any point, it comes to the same. */
export async function commitOutgoing(folder: PublisherFolder, outgoing: Outgoing): Promise<void> {
  await folder.create();
  for (const [name, text] of Object.entries(outgoing.files)) await folder.write(name, Buffer.from(text, 'base64'));
  await folder.save(outgoing.record);
  await dropSuperseded(folder, updateOf(outgoing));
  await removeOutgoing(folder);
}

/** Files of each publisher and model that stay: to compare with a hub that was put back to a backup. */
const KEPT_FILES = 20;

async function dropSuperseded(folder: PublisherFolder, { roles = {} }: TrustUpdate): Promise<void> {
  for (const [role, bytes] of Object.entries(roles)) {
    const last = parseMetadata('targets', bytes, role).version - KEPT_FILES;
    if (last > 0) await folder.drop(`${last}.${role}.json`);
  }
}

/**
 * The hub refused it: the folder stays as it was, but for a root. A root that was shown to anybody is never signed twice under
 * one number, or a fleet could be split; so it is kept, and the next update brings it along.
 */
export async function withdrawOutgoing(folder: PublisherFolder, outgoing: Outgoing): Promise<void> {
  const roots = updateOf(outgoing).roots ?? [];
  const { keeper } = outgoing.record;
  const before = await folder.find();
  if (roots.length > 0 && keeper !== undefined && before !== undefined) {
    for (const bytes of roots) await folder.keep(parseMetadata('root', bytes));
    await folder.save({ ...before, keeper: { ...keeper, targets: before.keeper?.targets ?? keeper.targets } });
  }
  await removeOutgoing(folder);
}

async function removeOutgoing(folder: PublisherFolder): Promise<void> {
  await folder.fs.rm(join(folder.path, OUTGOING), { force: true });
  await syncFolder(folder.path, folder.fs);
}
