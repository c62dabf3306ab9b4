import { unknownModel } from '#agent/inference/servables/refusals.js';
import { localModelNameSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** Model and version of a message. A name that cannot be one is simply unknown here. */
export function namedTarget(name: string, versionText: string): { readonly model: ModelName; readonly version: VersionNumber | undefined } {
  // A version that is no number is the caller's mistake, whatever the model.
  const version = versionNamed(versionText);
  const model = localModelNameSchema.safeParse(name);
  if (!model.success) throw unknownModel(name);
  return { model: model.data, version };
}

/** An empty version is none. Errors: `SERVE_REQUEST`. */
export function versionNamed(text: string): VersionNumber | undefined {
  if (text === '') return undefined;
  const version = versionNumberSchema.safeParse(/^\d{1,16}$/.test(text) ? Number(text) : undefined);
  if (version.success) return version.data;
  throw new SkerryError('SERVE_REQUEST', `${JSON.stringify(text.slice(0, 64))} is not a version number; versions are 1, 2, 3 ...`);
}
