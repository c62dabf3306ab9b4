import { expect } from 'vitest';
import type { ErrorCode } from '#shared/kernel/error-registry.js';

/** Matches a SkerryError by its code and, when given, a part of its message: `expect(fn).toThrow(coded('TENSOR_SHAPE', 'input "x"'))`. */
export function coded(code: ErrorCode, message?: string | RegExp): unknown {
  if (message === undefined) return expect.objectContaining({ code });
  const matcher: unknown = typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message);
  return expect.objectContaining({ code, message: matcher });
}

/** What `fn` gives, or the code it fails with; anything thrown without a code is thrown on. */
export function outcome<T>(fn: () => T): { readonly value: T } | { readonly code: string } {
  try {
    return { value: fn() };
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return { code: error.code };
    throw error;
  }
}
