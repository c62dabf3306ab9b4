import { localModelNameSchema, type ModelName, type VersionNumber, versionNumberSchema } from '#shared/bundle/names.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';

interface NamedModel {
  readonly model: ModelName;
  readonly version: VersionNumber | undefined;
}

/** What was read of segments that the router remembers. */
const read = new WeakMap<Readonly<Record<string, string>>, NamedModel>();

/** Model and version of the path; a name that cannot be one is simply unknown here. */
export function namedModel(params: Readonly<Record<string, string>>): NamedModel {
  let named = read.get(params);
  if (named === undefined) read.set(params, (named = readNames(params)));
  return named;
}

function readNames(params: Readonly<Record<string, string>>): NamedModel {
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
