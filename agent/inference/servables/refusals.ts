import { SkerryError } from '#shared/kernel/errors.js';
import type { ServableStatus } from '../contract.js';

/** Why a servable takes no request now: whether waiting helps depends on that. */
export function refusalOf({ model, version, state, error }: Pick<ServableStatus, 'model' | 'version' | 'state' | 'error'>): SkerryError {
  if (state === 'failed' && error !== undefined) return failureOf({ model, version }, error);
  return new SkerryError('INFERENCE_NOT_READY', `${model}@${version} is ${state}`, { details: { state } });
}

/** What requests of a version that failed hear. */
export function failureOf({ model, version }: Pick<ServableStatus, 'model' | 'version'>, cause: SkerryError): SkerryError {
  return new SkerryError('INFERENCE_SERVABLE_FAILED', `${model}@${version} failed: ${cause.message}`, { cause });
}

export function unknownModel(model: string): SkerryError {
  return new SkerryError('INFERENCE_MODEL_UNKNOWN', `no model ${JSON.stringify(model.slice(0, 128))} is loaded on this device`);
}
