import { SkerryError } from '#shared/kernel/errors.js';
import { LIMITS } from '#shared/kernel/limits.js';

/**
 * Number of elements of a concrete shape (`[]` is a scalar: 1). Refuses dimensions that are no whole numbers of at least 0
 * (`TENSOR_SHAPE`), ranks above LIMITS.tensorRank and products above LIMITS.tensorElements (`TENSOR_TOO_LARGE`).
 */
export function elementCount(shape: readonly number[], what: string): number {
  if (shape.length > LIMITS.tensorRank) {
    throw new SkerryError('TENSOR_TOO_LARGE', `${what} has ${shape.length} dimensions, at most ${LIMITS.tensorRank} are accepted`);
  }
  let count = 1;
  let empty = false;
  for (const size of shape) {
    if (!Number.isInteger(size) || size < 0) {
      throw new SkerryError(
        'TENSOR_SHAPE',
        `${what} has shape ${formatShape(shape)}; every dimension must be a whole number of at least 0`,
      );
    }
    if (size === 0) empty = true;
    else count *= size;
    if (count > LIMITS.tensorElements) {
      throw new SkerryError(
        'TENSOR_TOO_LARGE',
        `${what} has shape ${formatShape(shape)}, more than the accepted ${LIMITS.tensorElements} elements`,
      );
    }
  }
  return empty ? 0 : count;
}

/** True when a concrete shape fits a declared one, where -1 takes any size. */
export function shapeMatches(declared: readonly number[], actual: readonly number[]): boolean {
  return declared.length === actual.length && declared.every((size, axis) => size === -1 || size === actual[axis]);
}

export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(',')}]`;
}
