import type { Key } from '@tufjs/models';
import { z } from 'zod';
import { SkerryError } from '#shared/kernel/errors.js';
import { canonicalForm } from './canonical-form.js';
import { type PublicKey, publicKeySchema, verifySignature } from './keys.js';
import { type Kind, METADATA_CODES, type MetadataFile } from './metadata.js';

/** A file that says which keys sign for others. */
export type Delegator = MetadataFile<'root'> | MetadataFile<'targets'>;

/** Keys of a role that this release can verify with, by id, and how many different ones must have signed. */
interface RoleOfKeys {
  readonly keys: ReadonlyMap<string, PublicKey>;
  readonly threshold: number;
}

/**
 * Keys and threshold that `delegator` gives a role. Keys of another type, scheme or form are left out: they count as not
 * there, and the threshold decides (TUF 4.2). Throws `TRUST_ROLE_UNKNOWN` for a role it does not name.
 */
export function keysOfRole(delegator: Delegator, name: string): RoleOfKeys {
  const { roles, keys } = tableOf(delegator);
  const role = Object.hasOwn(roles, name) ? roles[name] : undefined;
  if (role === undefined)
    throw new SkerryError('TRUST_ROLE_UNKNOWN', `${delegator.role} version ${delegator.version} names no role ${name}`);
  const usable = new Map<string, PublicKey>();
  for (const id of role.keyIDs) {
    const key = Object.hasOwn(keys, id) ? usableKey(keys[id]) : undefined;
    if (key !== undefined) usable.set(id, key);
  }
  return { keys: usable, threshold: role.threshold };
}

interface KeyTable {
  readonly roles: Readonly<Record<string, { readonly keyIDs: readonly string[]; readonly threshold: number }>>;
  readonly keys: Readonly<Record<string, Key>>;
}

function tableOf(delegator: Delegator): KeyTable {
  if (isRoot(delegator)) return delegator.metadata.signed;
  const { delegations } = delegator.metadata.signed;
  return { roles: delegations?.roles ?? {}, keys: delegations?.keys ?? {} };
}

function isRoot(delegator: Delegator): delegator is MetadataFile<'root'> {
  return delegator.kind === 'root';
}

function usableKey(key: Key | undefined): PublicKey | undefined {
  if (key?.keyType !== 'ed25519' || key.scheme !== 'ed25519') return undefined;
  return publicKeySchema.safeParse(key.keyVal['public']?.toLowerCase()).data;
}

const signatureSchema = z.object({ keyid: z.string(), sig: z.string().regex(/^[0-9a-fA-F]{128}$/) });
type ReadSignature = z.infer<typeof signatureSchema>;

/** The signatures of a file that can be read at all; the others do not count. */
export function readSignatures(file: MetadataFile<Kind>): readonly ReadSignature[] {
  return file.signatures.flatMap((entry) => signatureSchema.safeParse(entry).data ?? []);
}

/** Of the signatures of a file, those made by keys of the role: one for each key, however often and under however many ids it signed. */
export function goodSignatures(role: RoleOfKeys, file: MetadataFile<Kind>): readonly ReadSignature[] {
  const message = signedBytes(file);
  const good = new Map<PublicKey, ReadSignature>();
  for (const signature of readSignatures(file)) {
    const key = role.keys.get(signature.keyid);
    if (key === undefined || good.has(key)) continue;
    if (verifySignature(key, message, Buffer.from(signature.sig, 'hex'))) good.set(key, signature);
  }
  return [...good.values()];
}

/**
 * Checks that as many different keys as the threshold asks for signed the file, of those that `delegator` names for its role
 * (TUF 5.3.4, 5.4.2, 5.5.3, 5.6.3). What cannot be used is passed over, not refused.
 */
export function checkSignatures(delegator: Delegator, file: MetadataFile<Kind>): void {
  const role = keysOfRole(delegator, file.role);
  const count = goodSignatures(role, file).length;
  if (count >= role.threshold) return;
  throw new SkerryError(
    METADATA_CODES[file.kind].signature,
    `${file.role} metadata version ${file.version} carries ${count} of the ${role.threshold} signatures that ${delegator.role} version ${delegator.version} asks for`,
    { details: { role: file.role, version: file.version } },
  );
}

/** True when the delegator's keys signed the file. */
export function isSigned(delegator: Delegator, file: MetadataFile<Kind>): boolean {
  try {
    checkSignatures(delegator, file);
    return true;
  } catch {
    return false;
  }
}

/** True when this very key signed the file, whatever anybody delegates. */
export function isSignedBy(file: MetadataFile<Kind>, publicKey: PublicKey): boolean {
  const message = signedBytes(file);
  return readSignatures(file).some(({ sig }) => verifySignature(publicKey, message, Buffer.from(sig, 'hex')));
}

function signedBytes(file: MetadataFile<Kind>): Uint8Array {
  try {
    return canonicalForm(file.signed);
  } catch (cause) {
    throw new SkerryError(METADATA_CODES[file.kind].format, `${file.role} metadata version ${file.version} cannot be verified`, { cause });
  }
}
