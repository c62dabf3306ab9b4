import { SkerryError } from '#shared/kernel/errors.js';

/** Throws `STATS_ARGUMENT` unless 0 < value < 1. */
export function requireLevel(value: number, name: string): void {
  if (!(value > 0 && value < 1)) throw new SkerryError('STATS_ARGUMENT', `${name} must lie between 0 and 1, it is ${value}`);
}

/** Throws `STATS_ARGUMENT` unless the value is finite and at least `least`. */
export function requireAtLeast(value: number, least: number, name: string): void {
  if (!(Number.isFinite(value) && value >= least)) {
    throw new SkerryError('STATS_ARGUMENT', `${name} must be a finite number of at least ${least}, it is ${value}`);
  }
}
