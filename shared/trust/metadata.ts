import { createHash } from 'node:crypto';
import { Metadata, MetadataKind, type Root, type Snapshot, type Targets, type Timestamp } from '@tufjs/models';
import { z } from 'zod';
import { type EpochMillis, parseTimestamp } from '#shared/kernel/time.js';
import type { ErrorCode } from '#shared/kernel/error-registry.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { narrow } from '#shared/kernel/json.js';
import { LIMITS } from '#shared/kernel/limits.js';
import { canonicalForm } from './canonical-form.js';
import type { SigningKey } from './keys.js';
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
  /** The part that is signed, as it came: members not known here are in it, and the signatures cover them. */
  readonly signed: JsonObject;
  /** As they came; `checkSignatures` uses those it can read. */
  readonly signatures: readonly unknown[];
  /** What this release reads of `signed`: not for verifying, and without keys of a shape it does not know. */
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
  const { signed, signatures } = narrow(METADATA_SCHEMAS[kind], data, `${role} metadata`, code);
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
    const whole = requireObject(data['signed']);
    const metadata = READERS[kind]({ signed: kind === 'root' ? readableRoot(whole) : whole, signatures: [] });
    return { kind, role, bytes, signed: whole, signatures, metadata, version: signed.version, expires };
  } catch (cause) {
    throw new SkerryError(code, `${role} metadata cannot be read`, { cause });
  }
}

/** Throws `TRUST_METADATA_EXPIRED` when the file is no longer valid at `now` (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5); `undefined` leaves it out. */
export function checkExpiry(file: MetadataFile<Kind>, now: EpochMillis | undefined): void {
  if (now === undefined || now < file.expires) return;
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
  const message = canonicalForm(signed);
  const signatures = keys.map((key) => ({ keyid: key.keyId, sig: Buffer.from(key.sign(message)).toString('hex') }));
  return parseMetadata(kind, new TextEncoder().encode(JSON.stringify({ signatures, signed })), role);
}

/** SHA-256 of bytes, lower-case hex. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The JSON object that a metadata file is; `code` for anything else. */
export function readObject(bytes: Uint8Array, role: string, code: ErrorCode): JsonObject {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw new SkerryError(code, `${role} metadata is not JSON`, { cause });
  }
  throw new SkerryError(code, `${role} metadata is not a JSON object`);
}

/** The root without what the TUF models cannot hold: keys of another shape, roles of another name. */
function readableRoot(signed: JsonObject): JsonObject {
  const keys = Object.entries(requireObject(signed['keys'])).filter(([, key]) => isReadableKey(key));
  const roles = Object.entries(requireObject(signed['roles'])).filter(([name]) => TOP_ROLES.includes(name));
  return { ...signed, keys: Object.fromEntries(keys), roles: Object.fromEntries(roles) };
}

const TOP_ROLES: readonly string[] = ['root', 'targets', 'snapshot', 'timestamp'];
const readableKey = z.object({ keytype: z.string(), scheme: z.string(), keyval: z.record(z.string(), z.string()) });
const isReadableKey = (key: unknown): boolean => readableKey.safeParse(key).success;

function requireObject(value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  throw new SkerryError('INPUT_SCHEMA', 'not a JSON object');
}

/** For values made by JSON.parse, where any object has JSON values only. */
function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
