import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '#shared/kernel/atomic-file.js';
import { asSkerryError, errnoOf, SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { openObject } from '#shared/kernel/open-object.js';
import { deviceIdSchema, fleetIdSchema, labelsSchema } from '#shared/protocol/device.js';

const IDENTITY_FILE = 'identity.json';
const IDENTITY_BYTES = 256 * 1024;

export const identitySchema = openObject({
  schema: z.literal('skerry.identity/1'),
  fleet: fleetIdSchema,
  device: deviceIdSchema,
  labels: labelsSchema,
  /** Base URL of the hub's HTTP API, as given at enrolment. */
  hub: z.url().max(1024),
  mqtt: openObject({
    url: z.url().max(1024),
    wsUrl: z.url().max(1024).optional(),
    username: z.string().min(1).max(128),
    password: z.string().min(1).max(256),
    /** PEM of the authority that signed the certificates of hub and broker. */
    ca: z.string().max(65_536).optional(),
  }),
  enrolledAt: z.iso.datetime({ offset: true }),
});
/** Who this device is, and how it reaches its hub. The file holds the broker password: mode 0600. */
export type Identity = z.infer<typeof identitySchema>;

/** Reads the identity of a data folder; `undefined` before enrolment. Throws `SYNC_IDENTITY_CORRUPT`, `IO_FAILED`. */
export async function readIdentity(data: string): Promise<Identity | undefined> {
  const file = join(data, IDENTITY_FILE);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw asSkerryError(cause, 'IO_FAILED');
  }
  return parseJson(identitySchema, bytes, { what: file, maxBytes: IDENTITY_BYTES, code: 'SYNC_IDENTITY_CORRUPT' });
}

/** Reads the identity, or says that there is none (`SYNC_NOT_ENROLLED`). */
export async function requireIdentity(data: string): Promise<Identity> {
  const identity = await readIdentity(data);
  if (identity !== undefined) return identity;
  throw new SkerryError('SYNC_NOT_ENROLLED', `${data} holds no device identity`);
}

export async function writeIdentity(data: string, identity: Identity): Promise<void> {
  await writeFileAtomic(join(data, IDENTITY_FILE), `${JSON.stringify(identity, undefined, 2)}\n`, { mode: 0o600 });
}
