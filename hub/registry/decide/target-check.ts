import { manifestTargetPath } from '#shared/bundle/kinds.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { DIRECTOR_TARGET_PATH } from '#shared/trust/desired.js';
import { parseMetadata } from '#shared/trust/metadata.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import type { ListedTarget } from '#shared/trust/target-lookup.js';
import type { TrustUpdate } from '#shared/trust/update.js';
import type { Candidate } from '../version-checks.js';

/** Looks a target up in what is published now. */
type PublishedTarget = (path: string) => ListedTarget | undefined;

/**
 * The targets files sent with a version must list its manifest with its digest and length, and announce no other new one:
 * every listed version then has its content here. Signatures are checked on acceptance. Throws `MANIFEST_MISMATCH`.
 */
export function checkTargetOf(
  candidate: Candidate,
  publisher: string,
  files: Readonly<Record<string, Uint8Array>>,
  published: PublishedTarget,
): void {
  const { model, version } = candidate.manifest;
  const path = manifestTargetPath(model, version);
  let isListed = false;
  for (const [role, bytes] of Object.entries(files)) {
    if (role !== publisher && role !== modelRoleName(publisher, model)) throw mismatch(`a file of role ${role} has no part in ${path}`);
    const listed = parseMetadata('targets', bytes, role).metadata.signed.targets;
    const target = Object.hasOwn(listed, path) ? listed[path] : undefined;
    if (target !== undefined && (target.hashes['sha256'] !== candidate.digest || target.length !== candidate.bytes.byteLength)) {
      throw mismatch(`the targets file of role ${role} lists ${path} with another digest or length than the manifest sent`);
    }
    isListed ||= target !== undefined;
    const others = newPaths(Object.keys(listed), published).filter((other) => other !== path);
    if (others.length > 0)
      throw mismatch(`the targets file of role ${role} also lists ${others.join(', ')}, whose content was not published`);
  }
  if (!isListed) throw mismatch(`the targets files of ${publisher} do not list ${path}`);
}

/** Trust files alone announce no version: those come with their content. Throws `MANIFEST_MISMATCH`. */
export function checkNoNewVersions(update: TrustUpdate, published: PublishedTarget): void {
  const files = { ...update.roles, ...(update.targets === undefined ? {} : { targets: update.targets }) };
  for (const [role, bytes] of Object.entries(files)) {
    const paths = newPaths(Object.keys(parseMetadata('targets', bytes, role).metadata.signed.targets), published);
    if (paths.length > 0)
      throw mismatch(`the targets file of role ${role} lists ${paths.join(', ')}; publish them with their content first`);
  }
}

function newPaths(paths: readonly string[], published: PublishedTarget): readonly string[] {
  return paths.filter((path) => path !== DIRECTOR_TARGET_PATH && published(path) === undefined);
}

function mismatch(message: string): SkerryError {
  return new SkerryError('MANIFEST_MISMATCH', message);
}
