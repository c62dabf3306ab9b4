import { createHash } from 'node:crypto';
import { Key, Metadata, MetadataKind, type Root, Signature, type Snapshot, type Targets, type Timestamp } from '@tufjs/models';
import { z } from 'zod';
import { type EpochMillis, parseTimestamp } from '#shared/kernel/clock.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { type PublicKey, type SigningKey, tufKeyId } from './keys.js';
import { METADATA_SCHEMAS } from './metadata-schema.js';

export interface MetadataKinds {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  readonly targets: Targets;
}
export type Kind = keyof MetadataKinds;
export type JsonObject = Parameters<typeof Targets.fromJSON>[0];

/** A metadata file that matches its schema and has a readable date; its signatures are not checked yet. */
export interface MetadataFile<K extends Kind> {
  readonly kind: K;
  /** Role name: the kind, or the name of a delegated publisher role. */
  readonly role: string;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata<MetadataKinds[K]>;
  readonly version: number;
  readonly expires: EpochMillis;
}

/** The error codes of each kind of file. */
export const METADATA_CODES = {
  root: {
    format: 'TRUST_ROOT_FORMAT',
    signature: 'TRUST_ROOT_SIGNATURE',
    rollback: 'TRUST_ROOT_VERSION',
    hash: 'TRUST_ROOT_SIGNATURE',
    missing: 'TRUST_ROOT_MISSING',
  },
  timestamp: {
    format: 'TRUST_TIMESTAMP_FORMAT',
    signature: 'TRUST_TIMESTAMP_SIGNATURE',
    rollback: 'TRUST_TIMESTAMP_ROLLBACK',
    hash: 'TRUST_TIMESTAMP_SIGNATURE',
    missing: 'TRUST_TIMESTAMP_MISSING',
  },
  snapshot: {
    format: 'TRUST_SNAPSHOT_FORMAT',
    signature: 'TRUST_SNAPSHOT_SIGNATURE',
    rollback: 'TRUST_SNAPSHOT_ROLLBACK',
    hash: 'TRUST_SNAPSHOT_HASH',
    missing: 'TRUST_SNAPSHOT_MISSING',
  },
  targets: {
    format: 'TRUST_TARGETS_FORMAT',
    signature: 'TRUST_TARGETS_SIGNATURE',
    rollback: 'TRUST_TARGETS_ROLLBACK',
    hash: 'TRUST_TARGETS_HASH',
    missing: 'TRUST_TARGETS_MISSING',
  },
} as const satisfies Readonly<Record<Kind, Readonly<Record<'format' | 'signature' | 'rollback' | 'hash' | 'missing', ErrorCode>>>>;

const READERS: { readonly [K in Kind]: (data: JsonObject) => Metadata<MetadataKinds[K]> } = {
  root: (data) => Metadata.fromJSON(MetadataKind.Root, data),
  timestamp: (data) => Metadata.fromJSON(MetadataKind.Timestamp, data),
  snapshot: (data) => Metadata.fromJSON(MetadataKind.Snapshot, data),
  targets: (data) => Metadata.fromJSON(MetadataKind.Targets, data),
};

const calendarDate = z.iso.datetime({ offset: true });

/**
 * Reads a metadata file: size, JSON, schema, date. Throws `INPUT_TOO_LARGE`, the kind's `..._FORMAT`, or
 * `TRUST_METADATA_DATE`: a date that does not parse is no date in the future (TUF libraries compare with an invalid Date,
 * which is never "expired").
 */
export function parseMetadata<K extends Kind>(kind: K, bytes: Uint8Array, role: string = kind): MetadataFile<K> {
  const code = METADATA_CODES[kind].format;
  if (bytes.byteLength > LIMITS.trustFileBytes) {
    throw new SkerryError(
      'INPUT_TOO_LARGE',
      `${role} metadata has ${bytes.byteLength} bytes, at most ${LIMITS.trustFileBytes} are accepted`,
    );
  }
  const data = readObject(bytes, role, code);
  const { signed } = narrow(METADATA_SCHEMAS[kind], data, `${role} metadata`, code);
  const expires = calendarDate.safeParse(signed.expires).success ? parseTimestamp(signed.expires) : undefined;
  if (expires === undefined) {
    throw new SkerryError(
      'TRUST_METADATA_DATE',
      `${role} metadata version ${signed.version} expires "${signed.expires}", which is no date`,
      {
        details: { role, version: signed.version },
      },
    );
  }
  try {
    return { kind, role, bytes, metadata: READERS[kind](data), version: signed.version, expires };
  } catch (cause) {
    throw new SkerryError(code, `${role} metadata cannot be read`, { cause });
  }
}

/** Checks that the keys `delegator` names for the file's role signed it, up to the threshold (TUF 5.3.4, 5.4.2, 5.5.3, 5.6.3). */
export function checkSignatures(delegator: MetadataFile<'root'> | MetadataFile<'targets'>, file: MetadataFile<Kind>): void {
  try {
    delegator.metadata.verifyDelegate(file.role, file.metadata);
  } catch (cause) {
    const by = `${delegator.role} version ${delegator.version}`;
    throw new SkerryError(
      METADATA_CODES[file.kind].signature,
      `${file.role} metadata version ${file.version} lacks signatures that ${by} asks for`,
      { cause, details: { role: file.role, version: file.version } },
    );
  }
}

/** True when this very key signed the file, whatever anybody delegates. */
export function isSignedBy(file: MetadataFile<Kind>, publicKey: PublicKey): boolean {
  try {
    const keyID = tufKeyId(publicKey);
    new Key({ keyID, keyType: 'ed25519', scheme: 'ed25519', keyVal: { public: publicKey } }).verifySignature(file.metadata);
    return true;
  } catch {
    return false;
  }
}

/** Throws `TRUST_METADATA_EXPIRED` when the file is no longer valid at `now` (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5). */
export function checkExpiry(file: MetadataFile<Kind>, now: EpochMillis): void {
  if (now < file.expires) return;
  const when = new Date(file.expires).toISOString();
  throw new SkerryError('TRUST_METADATA_EXPIRED', `${file.role} metadata version ${file.version} expired at ${when}`, {
    details: { role: file.role, version: file.version, expires: when },
  });
}

/** Signs the `signed` part of a metadata file with every key; returns the file's bytes. The result matches the schema or this throws. */
export function signMetadata<K extends Kind>(
  kind: K,
  signed: JsonObject,
  keys: readonly SigningKey[],
  role: string = kind,
): MetadataFile<K> {
  const metadata = READERS[kind]({ signed, signatures: [] });
  for (const key of keys) {
    metadata.sign((message) => new Signature({ keyID: key.keyId, sig: Buffer.from(key.sign(message)).toString('hex') }));
  }
  return parseMetadata(kind, new TextEncoder().encode(JSON.stringify(metadata.toJSON())), role);
}

/** SHA-256 of bytes, lower-case hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readObject(bytes: Uint8Array, role: string, code: ErrorCode): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new SkerryError(code, `${role} metadata is not JSON`, { cause });
  }
  throw new SkerryError(code, `${role} metadata is not a JSON object`);
}

/** For values made by JSON.parse, where any object has JSON values only. */
function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
