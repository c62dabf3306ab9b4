import { localModelNameSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** Model and version of the path; a name that cannot be one is simply unknown here. */
export function namedModel(params: Readonly<Record<string, string>>): {
  readonly model: ModelName;
  readonly version: VersionNumber | undefined;
} {
  const model = localModelNameSchema.safeParse(params['model']);
  if (!model.success) throw unknownModel(params['model'] ?? '');
  const text = params['version'];
  if (text === undefined) return { model: model.data, version: undefined };
  const version = versionNumberSchema.safeParse(/^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined);
  if (version.success) return { model: model.data, version: version.data };
  throw new SkerryError(
    'INFERENCE_VERSION_UNKNOWN',
    `${JSON.stringify(text.slice(0, 64))} is not a version number; versions are 1, 2, 3 ...`,
  );
}
