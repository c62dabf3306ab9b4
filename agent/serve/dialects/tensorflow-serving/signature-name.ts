import { SkerryError } from '#shared/kernel/errors.js';

/** The signature that every model has, and the only one. */
export const SERVING_DEFAULT = 'serving_default';

/** An empty name is none. Errors: `SERVE_REQUEST` for a signature that an ONNX model does not have. */
export function checkSignature(name: string): void {
  if (name === '' || name === SERVING_DEFAULT) return;
  throw new SkerryError('SERVE_REQUEST', `Serving signature name: ${JSON.stringify(name.slice(0, 128))} not found in signature def`);
}
