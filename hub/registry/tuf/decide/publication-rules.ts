import { isDeepStrictEqual } from 'node:util';
import { SkerryError } from '#shared/kernel/errors.js';
import { parseJson } from '#shared/kernel/json.js';
import { DIRECTOR_TARGET_PATH, directorKeysSchema } from '#shared/trust/desired.js';
import { type MetadataFile, sha256Hex } from '#shared/trust/metadata.js';
import { delegatedRoleNames, modelRoleFor } from '#shared/trust/model-role.js';
import { isRetired, retiredIn } from '#shared/trust/retired.js';
import { modelOf, publisherOf } from '#shared/trust/role-name.js';
import { asVersion, findTarget, type ListedTarget, listersOf, type TargetRoles } from '#shared/trust/target-lookup.js';
import type { HubKeys } from '../hub-keys.js';

// What a hub demands of uploaded metadata beyond the TUF client workflow. Pure.

/** The root must name this hub's snapshot and timestamp keys, each enough alone, or the hub could not sign anything. */
export function checkHubKeys(root: MetadataFile<'root'>, keys: HubKeys): void {
  for (const name of ['snapshot', 'timestamp'] as const) {
    const role = root.metadata.signed.roles[name];
    if (role === undefined || role.threshold !== 1 || !role.keyIDs.includes(keys[name].keyId)) {
      throw new SkerryError('TRUST_HUB_KEYS', `root version ${root.version} does not name the ${name} key of this hub`, {
        details: { role: name, publicKey: keys[name].publicKey },
      });
    }
  }
}

/** The content of `hub/director.json` must be the file the targets list, for this fleet, and name this hub's director key. */
export function checkDirector(set: TargetRoles, bytes: Uint8Array | undefined, fleet: string, keys: HubKeys): asserts bytes is Uint8Array {
  const target = findTarget(set, DIRECTOR_TARGET_PATH);
  if (target === undefined || bytes === undefined) {
    throw new SkerryError('TRUST_DIRECTOR_MISSING', `${DIRECTOR_TARGET_PATH} is not listed in the targets or its content is not given`);
  }
  if (target.length !== bytes.byteLength || target.digest !== sha256Hex(bytes)) {
    throw new SkerryError('TRUST_DIRECTOR_HASH', `the content given for ${DIRECTOR_TARGET_PATH} is not the file the targets list`);
  }
  const director = parseJson(directorKeysSchema, bytes, { what: DIRECTOR_TARGET_PATH, maxBytes: 16_384, code: 'TRUST_DIRECTOR_FORMAT' });
  if (director.fleet !== fleet) {
    throw new SkerryError('TRUST_DIRECTOR_FORMAT', `${DIRECTOR_TARGET_PATH} is for fleet ${director.fleet}, this is ${fleet}`);
  }
  if (!director.keys.includes(keys.director.publicKey)) {
    throw new SkerryError('TRUST_HUB_KEYS', `${DIRECTOR_TARGET_PATH} does not name the director key of this hub`, {
      details: { role: 'director', publicKey: keys.director.publicKey },
    });
  }
}

/**
 * Throws `TRUST_TARGETS_VERSION` unless the file continues the one published under its role (version 1 for a new role). A
 * `recovery` may leave versions out.
 */
export function checkNextVersion(file: MetadataFile<'targets'>, published: number | undefined, recovery: boolean): void {
  const expected = (published ?? 0) + 1;
  if (file.version === expected || (recovery && file.version > expected)) return;
  throw new SkerryError('TRUST_TARGETS_VERSION', `${file.role} metadata has version ${file.version}, expected ${expected}`, {
    details: { role: file.role, version: file.version, expected },
  });
}

/**
 * What was listed once stays: same path, same content, a minimum version that never falls. A version of a model may be retired, unless it
 * is the newest: its number is never used again, and what its minimum ruled out stays ruled out.
 */
export function checkKeepsTargets(before: MetadataFile<'targets'>, after: MetadataFile<'targets'>): void {
  checkRetired(before, after);
  const retired = modelOf(after.role) === undefined ? [] : retiredIn(after);
  for (const [path, old] of Object.entries(before.metadata.signed.targets)) {
    // Director keys are replaced by a new content under the same path; its version is that of the top-level targets.
    if (path === DIRECTOR_TARGET_PATH) continue;
    const now = after.metadata.signed.targets[path];
    if (now === undefined) {
      if (isRetired(retired, versionIn(path))) continue;
      throw taken(path, after.role, 'is no longer listed');
    }
    if (now.length !== old.length || !isDeepStrictEqual(now.hashes, old.hashes)) throw taken(path, after.role, 'would get another content');
    const [{ minimumVersion: least, ...was }, { minimumVersion: next, ...is }] = [old.custom, now.custom];
    if (!isDeepStrictEqual(was, is)) throw taken(path, after.role, 'would get another description');
    if (Number(next) < Number(least)) throw taken(path, after.role, 'would fall to a lower minimum version');
  }
}

function checkRetired(before: MetadataFile<'targets'>, after: MetadataFile<'targets'>): void {
  const [was, is] = [retiredIn(before), retiredIn(after)];
  if (was.some(([from, to]) => !is.some(([start, end]) => start <= from && to <= end)))
    throw taken(after.role, after.role, 'would take up versions again that were retired');
  const listed = Object.keys(after.metadata.signed.targets);
  const again = listed.find((path) => isRetired(is, versionIn(path)));
  if (again !== undefined) throw taken(again, after.role, 'is retired, and listed');
  if (is.length === 0) return;
  if (highest(after, (_target, path) => versionIn(path)) < (is.at(-1)?.[1] ?? 0))
    throw taken(after.role, after.role, 'would lose the newest version of its model, which cannot be retired');
  const minimum = (file: MetadataFile<'targets'>): number => highest(file, ({ custom }) => Number(custom?.['minimumVersion'] ?? 0));
  if (minimum(after) < minimum(before)) throw taken(after.role, after.role, 'would fall to a lower minimum version');
}

type TargetEntries = MetadataFile<'targets'>['metadata']['signed']['targets'];

function highest(file: MetadataFile<'targets'>, of: (target: TargetEntries[string], path: string) => number): number {
  return Object.entries(file.metadata.signed.targets).reduce((most, [path, target]) => Math.max(most, of(target, path)), 0);
}

/** The version that a path names; 0 for none. */
function versionIn(path: string): number {
  return Number(/\/(\d+)\.json$/.exec(path)?.[1] ?? 0);
}

/** A model that a publisher delegated once stays delegated, and with it every version that is listed for it. */
export function checkKeepsModels(before: MetadataFile<'targets'>, after: MetadataFile<'targets'>): void {
  const kept = new Set(delegatedRoleNames(after));
  const lost = delegatedRoleNames(before).find((role) => !kept.has(role));
  if (lost === undefined) return;
  throw new SkerryError('TRUST_TARGET_TAKEN', `role ${after.role} no longer delegates to ${lost}`, { details: { role: after.role, lost } });
}

/**
 * Every target is listed by the one role that may, and describes the version its path names. Where the delegations of the top are those
 * of `before`, only files that changed are looked at: what a publication costs does not grow with all that was ever published.
 */
export function checkTargetRules(set: TargetRoles, before: TargetRoles | undefined): void {
  for (const path of Object.keys(set.targets.metadata.signed.targets)) {
    if (path !== DIRECTOR_TARGET_PATH) throw forbidden(path, 'targets', `only ${DIRECTOR_TARGET_PATH} stands in the top-level targets`);
  }
  const known = set.targets === before?.targets ? before.roles : new Map<string, MetadataFile<'targets'>>();
  for (const [role, file] of set.roles) {
    if (known.get(role) === file) continue;
    for (const path of Object.keys(file.metadata.signed.targets)) checkTarget(set, role, path);
  }
}

function checkTarget(set: TargetRoles, role: string, path: string): void {
  const publisher = set.roles.get(publisherOf(role));
  const model = publisher && modelRoleFor(publisher, path);
  const isDelegated = set.targets.metadata.signed.delegations?.roles?.[publisherOf(role)]?.isDelegatedPath(path) === true;
  if (!isDelegated || (role !== publisher?.role && role !== model)) throw forbidden(path, role, 'it is not delegated to this publisher');
  const below = role === model || model === undefined ? [] : [model].filter((other) => hasTarget(set.roles.get(other), path));
  const other = [...listersOf(set, path), ...below].find((lister) => lister !== role);
  if (other !== undefined) throw taken(path, role, `is already published by ${other}`);
  const target = findTarget(set, path);
  if (target !== undefined) checkVersionTarget(target, role);
}

function hasTarget(file: MetadataFile<'targets'> | undefined, path: string): boolean {
  return file !== undefined && Object.hasOwn(file.metadata.signed.targets, path);
}

function checkVersionTarget(target: ListedTarget, role: string): void {
  const version = asVersion(target);
  if (version === undefined) throw forbidden(target.path, role, 'its description does not fit its path');
  if (version.custom.minimumVersion > version.custom.version) {
    throw forbidden(target.path, role, 'its own minimum version rules it out');
  }
}

function taken(path: string, role: string, says: string): SkerryError {
  return new SkerryError('TRUST_TARGET_TAKEN', `target ${path} ${says}`, { details: { path, role } });
}

function forbidden(path: string, role: string, says: string): SkerryError {
  return new SkerryError('TRUST_TARGET_FORBIDDEN', `target ${path} of role ${role} is refused: ${says}`, { details: { path, role } });
}
