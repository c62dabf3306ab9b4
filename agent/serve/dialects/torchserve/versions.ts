import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { namedModel } from '../../named.js';

// Versions of TorchServe are texts such as "1.0"; ours are whole numbers. Version 2 is "2.0" there, and "2" is taken as well.

export function versionText(version: VersionNumber): string {
  return `${version}.0`;
}

/** Model and version of the path. Errors: as `namedModel`. */
export function pathModel({ model, version }: Readonly<Record<string, string>>): {
  readonly model: ModelName;
  readonly version: VersionNumber | undefined;
} {
  return namedModel({ model: model ?? '', ...(version === undefined ? {} : { version: version.replace(/\.0$/, '') }) });
}
