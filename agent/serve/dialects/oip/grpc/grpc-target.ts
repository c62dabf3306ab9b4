import { unknownModel } from '#agent/inference/servables/refusals.js';
import { type ModelName, modelNameSchema, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** Model and version of a message; an empty version is none. A name that cannot be one is simply unknown here. */
export function namedTarget(name: string, versionText: string): { readonly model: ModelName; readonly version: VersionNumber | undefined } {
  const model = modelNameSchema.safeParse(name);
  // A version that is no number is the caller's mistake, whatever the model.
  const version = versionText === '' ? undefined : parseVersion(versionText);
  if (!model.success) throw unknownModel(name);
  return { model: model.data, version };
}

function parseVersion(text: string): VersionNumber {
  const version = versionNumberSchema.safeParse(/^\d{1,16}$/.test(text) ? Number(text) : undefined);
  if (version.success) return version.data;
  throw new SkerryError('SERVE_REQUEST', `${JSON.stringify(text.slice(0, 64))} is not a version number; versions are 1, 2, 3 ...`);
}
