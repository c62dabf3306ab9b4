import { manifestPattern } from '#shared/bundle/kinds.js';
import { AGENT_MODEL } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { type PublicKey, tufKeyId, tufKeyObject } from './keys.js';
import { modelOf } from './role-name.js';
import { type JsonObject, type Kind, type MetadataFile, sha256Hex } from './metadata.js';

/** Version of the TUF specification that files are written for. */
const TUF_SPEC_VERSION = '1.0.31';

/** `YYYY-MM-DDTHH:MM:SSZ`, the form TUF 4.1 gives for dates; fractions of a second are cut off. */
export function tufDate(at: EpochMillis): string {
  return new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** Members every `signed` part begins with (TUF 4.3 to 4.6). */
export function commonFields(kind: Kind, version: number, expires: EpochMillis): JsonObject {
  return { _type: kind, spec_version: TUF_SPEC_VERSION, version, expires: tufDate(expires) };
}

/** How a superior names a file: version, length and hash (TUF 4.4, METAFILES). */
export function metaFileOf(file: MetadataFile<Kind>): JsonObject {
  return { version: file.version, length: file.bytes.byteLength, hashes: { sha256: sha256Hex(file.bytes) } };
}

/** Keys that sign for a role, and how many of them must. */
export interface RoleKeys {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

/** `signed` part of a root file (TUF 4.3). */
export function rootSigned(
  version: number,
  expires: EpochMillis,
  roles: Readonly<Record<'root' | 'targets' | 'snapshot' | 'timestamp', RoleKeys>>,
): JsonObject {
  const named = Object.entries(roles).map(([name, role]): [string, JsonObject] => [name, roleObject(role)]);
  return {
    ...commonFields('root', version, expires),
    consistent_snapshot: true,
    keys: keyObjects(Object.values(roles).flatMap((role) => role.keys)),
    roles: Object.fromEntries(named),
  };
}

/** A publisher role and what it may publish. */
export interface Delegation extends RoleKeys {
  readonly role: string;
  /** Model names or patterns with `*`: `vad`, `vad-*`, `*`. */
  readonly models: readonly string[];
  /** May publish releases of the agent. */
  readonly agent?: boolean;
  /** Path patterns of kinds of versions that only a later release knows. */
  readonly laterPaths?: readonly string[];
}

/** `delegations` of the top-level targets (TUF 4.5): one role per publisher, most trusted first, none cuts off the ones after it. */
export function delegationsObject(delegations: readonly Delegation[]): JsonObject {
  return {
    keys: keyObjects(delegations.flatMap((delegation) => delegation.keys)),
    roles: delegations.map((delegation) => ({
      ...roleObject(delegation),
      name: delegation.role,
      terminating: false,
      // "*" does not cross "/": the last one stands for every version file of the model.
      paths: [
        ...delegation.models.map(manifestPattern),
        ...(delegation.agent === true ? [manifestPattern(AGENT_MODEL)] : []),
        ...(delegation.laterPaths ?? []),
      ],
    })),
  };
}

/** `delegations` of a publisher's targets file (TUF 4.5): one role per model, signed by the publisher's own key. */
export function modelDelegationsObject(key: PublicKey, roles: readonly string[]): JsonObject {
  return {
    keys: keyObjects([key]),
    roles: roles.map((role) => ({
      ...roleObject({ keys: [key], threshold: 1 }),
      name: role,
      terminating: false,
      paths: [manifestPattern(modelOf(role) ?? '')],
    })),
  };
}

/** A target entry (TUF 4.5, TARGETS). */
export function targetObject(target: { readonly length: number; readonly digest: string; readonly custom?: JsonObject }): JsonObject {
  const entry: JsonObject = { length: target.length, hashes: { sha256: target.digest } };
  if (target.custom !== undefined) entry['custom'] = target.custom;
  return entry;
}

function roleObject(role: RoleKeys): JsonObject {
  return { keyids: role.keys.map((key) => tufKeyId(key)), threshold: role.threshold };
}

function keyObjects(keys: readonly PublicKey[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [tufKeyId(key), { ...tufKeyObject(key), keyval: { public: key } }]));
}
