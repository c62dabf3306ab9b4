import { z } from 'zod';
import { digestSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { publicKeySchema, tufKeyId } from './keys.js';
import { roleNameSchema } from './update.js';

// The TUF file formats (TUF 1.0.x, section 4), narrower than the specification where we never need its width: Ed25519 only,
// key ids computed and not chosen, SHA-256 always, consistent snapshots always, one level of delegation by path.

const MAX_KEYS = 32;
const MAX_DELEGATIONS = 256;

const versionSchema = z.int().min(1).max(2_147_483_647);
const keyIdSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** A key id that is not the hash of its key would let one key count twice towards a threshold. */
const keysSchema = z
  .record(
    keyIdSchema,
    z.strictObject({ keytype: z.literal('ed25519'), scheme: z.literal('ed25519'), keyval: z.strictObject({ public: publicKeySchema }) }),
  )
  .refine((keys) => Object.entries(keys).every(([id, key]) => id === tufKeyId(key.keyval.public)), 'a key id is not the hash of its key')
  .refine((keys) => Object.keys(keys).length <= MAX_KEYS * MAX_DELEGATIONS, 'too many keys');

const roleShape = { keyids: z.array(keyIdSchema).min(1).max(MAX_KEYS), threshold: z.int().min(1).max(MAX_KEYS) };
interface RoleKeys {
  readonly keyids: readonly string[];
  readonly threshold: number;
}
const isReachable = (role: RoleKeys): boolean => role.threshold <= role.keyids.length && new Set(role.keyids).size === role.keyids.length;
const topRoleSchema = z.strictObject(roleShape).refine(isReachable, 'the threshold cannot be reached');

const commonShape = {
  spec_version: z.string().regex(/^1\.\d{1,4}(\.\d{1,4})?$/, 'TUF specification 1.x'),
  version: versionSchema,
  /** Checked as a date by `parseMetadata`, with a code of its own. */
  expires: z.string().max(64),
};

const metaFileSchema = z.looseObject({
  version: versionSchema,
  length: z.int().min(1).max(LIMITS.trustFileBytes),
  hashes: z.strictObject({ sha256: digestSchema }),
});

const rootSigned = z
  .looseObject({
    ...commonShape,
    _type: z.literal('root'),
    consistent_snapshot: z.literal(true),
    keys: keysSchema,
    roles: z.strictObject({ root: topRoleSchema, targets: topRoleSchema, snapshot: topRoleSchema, timestamp: topRoleSchema }),
  })
  .refine((root) => Object.values(root.roles).every((role) => role.keyids.every((id) => Object.hasOwn(root.keys, id))), {
    message: 'a role names a key that is not listed',
  });

const timestampSigned = z.looseObject({
  ...commonShape,
  _type: z.literal('timestamp'),
  /** When it was signed: the freshest signed time a device without a clock can have. */
  issued_at: z.iso.datetime({ offset: true }),
  meta: z.strictObject({ 'snapshot.json': metaFileSchema }),
});

const snapshotSigned = z.looseObject({
  ...commonShape,
  _type: z.literal('snapshot'),
  meta: z
    .record(z.string().regex(/^[a-z0-9-]{1,63}\.json$/), metaFileSchema)
    .refine((meta) => Object.hasOwn(meta, 'targets.json'), 'lists no targets.json')
    .refine((meta) => Object.keys(meta).length <= MAX_DELEGATIONS + 1, 'lists too many files'),
});

/** `models/<name pattern>/<file pattern>`, or the releases of the agent; `*` never crosses a `/` (TUF 4.5, "paths"). */
const delegatedPathSchema = z
  .string()
  .regex(
    /^(?:models\/[a-z0-9._*-]{1,128}\/[a-z0-9._*-]{1,32}|agent\/\*\.json)$/,
    'models/<name or pattern>/<file or pattern>, or agent/*.json',
  )
  .refine((path) => path.split('*').length <= 6, 'at most five "*"');

const delegatedRoleSchema = z
  .strictObject({
    ...roleShape,
    name: roleNameSchema,
    terminating: z.boolean(),
    paths: z.array(delegatedPathSchema).min(1).max(64),
  })
  .refine(isReachable, 'the threshold cannot be reached');

const targetsSigned = z.looseObject({
  ...commonShape,
  _type: z.literal('targets'),
  targets: z.record(
    z.string().regex(/^[a-z0-9._-]+(\/[a-z0-9._-]+)*$/),
    z.looseObject({
      length: z.int().min(0),
      hashes: z.strictObject({ sha256: digestSchema }),
      custom: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  delegations: z
    .strictObject({ keys: keysSchema, roles: z.array(delegatedRoleSchema).max(MAX_DELEGATIONS) })
    .refine(({ roles }) => new Set(roles.map(({ name }) => name)).size === roles.length, 'a role is delegated twice')
    .refine(({ keys, roles }) => roles.every((role) => role.keyids.every((id) => Object.hasOwn(keys, id))), 'a role names a key not listed')
    .optional(),
});

const signaturesSchema = z.array(z.strictObject({ keyid: keyIdSchema, sig: z.string().regex(/^[0-9a-f]{128}$/) })).max(64);

interface CheckedFile {
  readonly signed: { readonly version: number; readonly expires: string };
}

/** Schema of each kind of metadata file; delegated roles are of kind `targets`. */
export const METADATA_SCHEMAS: Readonly<Record<'root' | 'timestamp' | 'snapshot' | 'targets', z.ZodType<CheckedFile>>> = {
  root: z.strictObject({ signed: rootSigned, signatures: signaturesSchema }),
  timestamp: z.strictObject({ signed: timestampSigned, signatures: signaturesSchema }),
  snapshot: z.strictObject({ signed: snapshotSigned, signatures: signaturesSchema }),
  targets: z.strictObject({ signed: targetsSigned, signatures: signaturesSchema }),
};
