import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type MetadataFile, parseMetadata } from '#shared/trust/metadata.js';
import { isRetired, retiredIn } from '#shared/trust/retired.js';
import { modelRoleName } from '#shared/trust/role-name.js';
import type { TrustUpdate } from '#shared/trust/update.js';

/** The file of a role that is published now. */
type PublishedFile = (role: string) => MetadataFile<'targets'> | undefined;

/** The file sent must retire the versions asked for, and no others. Signatures are checked on acceptance. Throws `MANIFEST_MISMATCH`. */
export function checkRetirement({ model, versions, role, files }: RetirementFiles, published: PublishedFile): void {
  const name = modelRoleName(role, model);
  const bytes = files[name];
  if (bytes === undefined || Object.keys(files).length !== 1)
    throw mismatch(`a retirement takes the next file of role ${name}, and no other`);
  const retired = retiredIn(parseMetadata('targets', bytes, name));
  const missing = versions.filter((version) => !isRetired(retired, version));
  if (missing.length > 0) throw mismatch(`the file of role ${name} does not retire ${missing.join(', ')}`);
  const others = newlyRetired(name, bytes, published).filter((version) => !versions.some((asked) => asked === version));
  if (others.length > 0) throw mismatch(`the file of role ${name} also retires ${others.join(', ')}`);
}

export interface RetirementFiles {
  readonly model: ModelName;
  readonly versions: readonly VersionNumber[];
  readonly role: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/** Trust files alone retire no version: whether something needs it is asked first. Throws `MANIFEST_MISMATCH`. */
export function checkRetiresNone({ roles = {} }: TrustUpdate, published: PublishedFile): void {
  for (const [role, bytes] of Object.entries(roles)) {
    const versions = newlyRetired(role, bytes, published);
    if (versions.length > 0) throw mismatch(`the targets file of role ${role} retires ${versions.join(', ')}; use "skerry model retire"`);
  }
}

/** Versions that are listed now and retired by the next file. */
function newlyRetired(role: string, bytes: Uint8Array, published: PublishedFile): readonly number[] {
  const retired = retiredIn(parseMetadata('targets', bytes, role));
  const listed = Object.keys(published(role)?.metadata.signed.targets ?? {});
  return listed.map((path) => Number(/\/(\d+)\.json$/.exec(path)?.[1] ?? 0)).filter((version) => isRetired(retired, version));
}

function mismatch(message: string): SkerryError {
  return new SkerryError('MANIFEST_MISMATCH', message);
}
