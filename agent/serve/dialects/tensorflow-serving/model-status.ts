import type { DialectDeps } from '../../dialect.js';
import type { RepositoryEntry } from '../../repository.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { unknownModel } from '#agent/inference/servables/refusals.js';
import { SkerryError } from '#shared/kernel/errors.js';

/** ModelVersionStatus.State of get_model_status.proto. */
const STATES: Readonly<Record<RepositoryEntry['state'], string>> = {
  LOADING: 'LOADING',
  READY: 'AVAILABLE',
  UNLOADING: 'UNLOADING',
  UNAVAILABLE: 'END',
};

interface VersionStatus {
  readonly version: string;
  readonly state: string;
  readonly status: { readonly error_code: string; readonly error_message: string };
}

/**
 * GetModelStatusResponse in its JSON form: the versions of a model, the newest first, or the one that is named. Errors:
 * `INFERENCE_MODEL_UNKNOWN`, `INFERENCE_VERSION_UNKNOWN`.
 */
export function modelStatus(
  { repository }: Pick<DialectDeps, 'repository'>,
  model: ModelName,
  version: VersionNumber | undefined,
): { readonly model_version_status: readonly VersionStatus[] } {
  const ofModel = repository.index().filter(({ name }) => name === model);
  if (ofModel.length === 0) throw unknownModel(model);
  const versions = ofModel.flatMap((entry) => (entry.version === undefined ? [] : [{ ...entry, version: entry.version }]));
  const wanted = versions.filter((entry) => version === undefined || entry.version === version);
  if (wanted.length === 0 && version !== undefined) {
    throw new SkerryError('INFERENCE_VERSION_UNKNOWN', `Could not find version ${version} of model ${model}`);
  }
  return { model_version_status: [...wanted].sort((one, other) => other.version - one.version).map(statusOf) };
}

function statusOf({ version, state, reason }: RepositoryEntry & { readonly version: VersionNumber }): VersionStatus {
  const status = reason === undefined ? { error_code: 'OK', error_message: '' } : { error_code: 'UNKNOWN', error_message: reason };
  return { version: String(version), state: STATES[state], status };
}
