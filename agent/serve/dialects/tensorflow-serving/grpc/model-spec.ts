import { localModelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { MessageOf } from '#shared/protobuf/schema.js';
import type { DialectDeps } from '../../../dialect.js';
import type { namedModel } from '../../../named.js';
import type { PREDICTION_SERVICE } from './serving-proto.js';

/** ModelSpec of a request, where it has one. */
export type Spec = MessageOf<(typeof PREDICTION_SERVICE)['rpcs']['Predict']['request']>['model_spec'];

/** Model and version of a message; a version may be named by a label. */
export function targetOf({ repository }: DialectDeps, spec: Spec): ReturnType<typeof namedModel> {
  const model = localModelNameSchema.safeParse(spec?.name);
  if (!model.success) throw unknownModel(spec?.name ?? '');
  const { version, version_label: label } = spec ?? {};
  if (label !== undefined) return { model: model.data, version: repository.labelled(model.data, label) };
  // Clients that always send a version send 0 where any will do.
  if (version === undefined || version.value === 0) return { model: model.data, version: undefined };
  const number = versionNumberSchema.safeParse(version.value);
  if (number.success) return { model: model.data, version: number.data };
  throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `model ${model.data} has no version ${version.value}`);
}
