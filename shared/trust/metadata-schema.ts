import { z } from 'zod';
import { digestSchema } from '#shared/bundle/names.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { targetsRoleSchema } from './role-name.js';

// The TUF file formats (TUF 1.0.x, section 4). Members that are not known here are ignored and kept: the signature covers them.
// Keys and signatures of a kind this release cannot use are no error, they do not count (shared/trust/signatures.ts). Where the
// formats are narrower than the specification stands in docs/SECURITY.md, "Narrower than TUF".

const MAX_KEYS = 1024;
const MAX_KEYIDS = 64;
const MAX_DELEGATIONS = LIMITS.modelsPerPublisher;
const MAX_SIGNATURES = 256;

const versionSchema = z.int().min(1).max(2_147_483_647);
/** TUF makes it a hash. It is only a name here: a threshold counts distinct public keys, never ids. */
const keyIdSchema = z.string().min(1).max(256);

/** A root is never refused for a key of another kind, whatever that looks like. */
const anyKeysSchema = z.record(keyIdSchema, z.unknown()).refine((keys) => Object.keys(keys).length <= MAX_KEYS, `at most ${MAX_KEYS} keys`);

/** A key as the TUF library reads it; its type and scheme may be any. */
const delegatedKeysSchema = z
  .record(keyIdSchema, z.looseObject({ keytype: z.string(), scheme: z.string(), keyval: z.record(z.string(), z.string()) }))
  .refine((keys) => Object.keys(keys).length <= MAX_KEYIDS * MAX_DELEGATIONS, 'too many keys');

const roleShape = { keyids: z.array(keyIdSchema).max(MAX_KEYIDS), threshold: z.int().min(1).max(MAX_KEYIDS) };
const namesEachKeyOnce = (role: { readonly keyids: readonly string[] }): boolean => new Set(role.keyids).size === role.keyids.length;
const topRoleSchema = z.looseObject(roleShape).refine(namesEachKeyOnce, 'a key id is listed twice');

const commonShape = {
  spec_version: z.string().regex(/^1\.\d{1,4}(\.\d{1,4})?$/, 'TUF specification 1.x'),
  version: versionSchema,
  /** Checked as a date by `parseMetadata`, with a code of its own. */
  expires: z.string().max(64),
};

/** SHA-256 always; other algorithms may stand beside it. */
const hashesSchema = z.record(z.string(), z.string()).and(z.looseObject({ sha256: digestSchema }));

const metaFileSchema = z.looseObject({
  version: versionSchema,
  length: z.int().min(1).max(LIMITS.trustFileBytes),
  hashes: hashesSchema,
});

const rootSigned = z.looseObject({
  ...commonShape,
  _type: z.literal('root'),
  consistent_snapshot: z.literal(true),
  keys: anyKeysSchema,
  roles: z.looseObject({ root: topRoleSchema, targets: topRoleSchema, snapshot: topRoleSchema, timestamp: topRoleSchema }),
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
    .record(z.string().regex(/^[a-z0-9-]{1,63}(?:_[a-z0-9._-]{1,128})?\.json$/), metaFileSchema)
    .refine((meta) => Object.hasOwn(meta, 'targets.json'), 'lists no targets.json')
    .refine((meta) => Object.keys(meta).length <= LIMITS.targetsRoles, 'lists too many files'),
});

/**
 * `models/<name pattern>/<file pattern>`, or the releases of the agent; `*` never crosses a `/` (TUF 4.5, "paths"). In folders of kinds
 * that only a later release knows any pattern is taken: nothing that this one looks for lies there.
 */
const delegatedPathSchema = z
  .string()
  .regex(
    /^(?:models\/[a-z0-9._*-]{1,128}\/[a-z0-9._*-]{1,32}|agent\/\*\.json|(?!models\/|agent\/)[a-z0-9-]{1,32}(?:\/[a-z0-9._*-]{1,128}){1,2})$/,
    'models/<name or pattern>/<file or pattern>, or agent/*.json',
  )
  .refine((path) => path.split('*').length <= 6, 'at most five "*"');

const delegatedRoleSchema = z
  .looseObject({
    ...roleShape,
    name: targetsRoleSchema,
    terminating: z.boolean(),
    paths: z.array(delegatedPathSchema).min(1).max(64),
  })
  .refine(namesEachKeyOnce, 'a key id is listed twice');

const targetsSigned = z.looseObject({
  ...commonShape,
  _type: z.literal('targets'),
  targets: z.record(
    z.string().regex(/^[a-z0-9._-]+(\/[a-z0-9._-]+)*$/),
    z.looseObject({
      length: z.int().min(0),
      hashes: hashesSchema,
      custom: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  delegations: z
    .looseObject({ keys: delegatedKeysSchema, roles: z.array(delegatedRoleSchema).max(MAX_DELEGATIONS) })
    .refine(({ roles }) => new Set(roles.map(({ name }) => name)).size === roles.length, 'a role is delegated twice')
    .optional(),
});

const anySignatures = z.array(z.unknown()).max(MAX_SIGNATURES);
/** Files whose bytes a superior names by hash go to the TUF library as they are, and it reads no others. */
const readSignatures = z
  .array(z.looseObject({ keyid: z.string(), sig: z.string() }))
  .max(MAX_SIGNATURES)
  .refine((list) => new Set(list.map(({ keyid }) => keyid)).size === list.length, 'two signatures have one key id');

interface CheckedFile {
  readonly signed: { readonly version: number; readonly expires: string };
  readonly signatures: readonly unknown[];
}

/** Schema of each kind of metadata file; delegated roles are of kind `targets`. */
export const METADATA_SCHEMAS: Readonly<Record<'root' | 'timestamp' | 'snapshot' | 'targets', z.ZodType<CheckedFile>>> = {
  root: z.looseObject({ signed: rootSigned, signatures: anySignatures }),
  timestamp: z.looseObject({ signed: timestampSigned, signatures: anySignatures }),
  snapshot: z.looseObject({ signed: snapshotSigned, signatures: readSignatures }),
  targets: z.looseObject({ signed: targetsSigned, signatures: readSignatures }),
};
