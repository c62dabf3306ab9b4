import { z } from 'zod';
import { asSkerryError, SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { durationSchema } from '#shared/kernel/duration.js';
import { CALL_GROUPS } from '../requests.js';
import type { Grant } from './decide/rights.js';
import type { Rate } from './decide/token-bucket.js';
import { TOKEN_ALGORITHMS, type TokenRules } from './tokens/token-rules.js';

/** Largest access file. */
const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 4_096;
const MAX_ROLES = 256;

const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/, 'a name of letters, digits and ._@-');
const rate = z.strictObject({
  /** Requests a second, on the average. */
  perSecond: z.number().positive().max(1_000_000),
  /** Requests at once; as many as in a second when left out. */
  burst: z.number().min(1).max(1_000_000).optional(),
});
const grant = z.strictObject({
  calls: z.array(z.enum([...CALL_GROUPS, '*'])).min(1),
  models: z.array(z.string().min(1).max(256)).min(1).max(256).default(['*']),
});
const role = z.strictObject({ allow: z.array(grant).max(64), rate: rate.optional() });
const roleNames = z.array(name).max(64);
const key = z.strictObject({
  name,
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'the line "digest" that `skerry-agent access key` prints'),
  roles: roleNames,
  expires: z.iso.datetime({ offset: true }).optional(),
});
const tokens = z.strictObject({
  issuer: z.string().min(1).max(1024),
  audience: z.string().min(1).max(1024),
  /** File, relative to the access file, or URL of a JSON Web Key Set. */
  jwks: z.string().min(1).max(4096),
  algorithms: z
    .array(z.enum(TOKEN_ALGORITHMS))
    .min(1)
    .default([...TOKEN_ALGORITHMS]),
  /** Claim that names roles; dots lead into objects. */
  rolesClaim: z.string().min(1).max(256).default('roles'),
  /** Roles of whoever has a token. */
  roles: roleNames.default([]),
  clockTolerance: z.union([z.int().min(0), durationSchema]).default(60_000),
});
const accessSchema = z.strictObject({
  schema: z.literal('skerry.access/1'),
  roles: z.record(name, role).default({}),
  /** Roles of callers without credentials. */
  anonymous: roleNames.default([]),
  /** Roles of callers on the Unix socket without credentials; left out: they may do everything. */
  socket: roleNames.optional(),
  keys: z.array(key).max(MAX_KEYS).default([]),
  tokens: tokens.optional(),
});

/** What the roles of a caller amount to. */
export interface Standing {
  readonly grants: readonly Grant[];
  readonly rate: Rate | undefined;
}

export interface KeyRule extends Standing {
  readonly name: string;
  /** SHA-256 of the key. */
  readonly digest: Buffer;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

/** An access file, ready to be asked. */
export interface AccessRules {
  readonly anonymous: Standing;
  readonly socket: Standing;
  /** By the digest in hexadecimal digits. */
  readonly keys: ReadonlyMap<string, KeyRule>;
  readonly tokens: (TokenRules & { readonly standingOf: (roles: readonly string[]) => Standing }) | undefined;
}

/** Every call to every model. */
export const EVERYTHING: Grant = { calls: new Set(CALL_GROUPS), models: ['*'] };

/** Reads an access file, YAML or JSON. `SERVE_ACCESS_FILE` names everything that is wrong with it. */
export async function parseAccessFile(text: string, path: string): Promise<AccessRules> {
  const what = `the access file ${path}`;
  if (Buffer.byteLength(text) > MAX_BYTES) throw new SkerryError('SERVE_ACCESS_FILE', `${what} has more than ${MAX_BYTES} bytes`);
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 0 });
  } catch (cause) {
    throw new SkerryError('SERVE_ACCESS_FILE', `${what} is neither YAML nor JSON: ${asSkerryError(cause).message}`, { cause });
  }
  return rulesOf(narrow(accessSchema, value, what, 'SERVE_ACCESS_FILE'), what);
}

function rulesOf(file: z.infer<typeof accessSchema>, what: string): AccessRules {
  const roles = new Map(Object.entries(file.roles));
  if (roles.size > MAX_ROLES) throw new SkerryError('SERVE_ACCESS_FILE', `${what} has more than ${MAX_ROLES} roles`);
  refuseUnknownRoles(file, roles, what);
  const standingOf = (names: readonly string[]): Standing => {
    const held = names.flatMap((one) => roles.get(one) ?? []);
    return { grants: held.flatMap(({ allow }) => allow.map(grantOf)), rate: rateOf(held.find((one) => one.rate !== undefined)?.rate) };
  };
  const keys = new Map<string, KeyRule>();
  for (const { name: holder, digest, roles: names, expires } of file.keys) {
    const hex = digest.slice('sha256:'.length);
    if (keys.has(hex)) throw new SkerryError('SERVE_ACCESS_FILE', `${what} has two keys with the digest of ${holder}`);
    const until = expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires);
    keys.set(hex, { name: holder, digest: Buffer.from(hex, 'hex'), expires: until, ...standingOf(names) });
  }
  return {
    anonymous: standingOf(file.anonymous),
    socket: file.socket === undefined ? { grants: [EVERYTHING], rate: undefined } : standingOf(file.socket),
    keys,
    tokens:
      file.tokens === undefined
        ? undefined
        : { ...file.tokens, standingOf: (names) => standingOf([...(file.tokens?.roles ?? []), ...names]) },
  };
}

/** A role that is misspelt must not pass as one without rights, nor as one without limits. */
function refuseUnknownRoles(file: z.infer<typeof accessSchema>, roles: ReadonlyMap<string, unknown>, what: string): void {
  const used = [file.anonymous, file.socket ?? [], file.tokens?.roles ?? [], ...file.keys.map((one) => one.roles)].flat();
  const unknown = [...new Set(used)].filter((one) => !roles.has(one));
  if (unknown.length > 0) throw new SkerryError('SERVE_ACCESS_FILE', `${what} uses roles that it does not define: ${unknown.join(', ')}`);
}

function grantOf({ calls, models }: z.infer<typeof grant>): Grant {
  const named = CALL_GROUPS.filter((call) => calls.includes(call));
  return { calls: calls.includes('*') ? EVERYTHING.calls : new Set(named), models };
}

function rateOf(given: z.infer<typeof rate> | undefined): Rate | undefined {
  return given === undefined ? undefined : { perSecond: given.perSecond, burst: given.burst ?? Math.max(1, given.perSecond) };
}
