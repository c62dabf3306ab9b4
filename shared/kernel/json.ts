import type { z } from 'zod';
import { SkerryError } from './errors.js';
import type { ErrorCode } from './error-registry.js';

export interface NarrowOptions {
  /** What is being read, for the message: "manifest", "request body". */
  readonly what: string;
  /** Largest accepted size in bytes. */
  readonly maxBytes: number;
  /** Code raised when the schema does not hold (default `INPUT_SCHEMA`). */
  readonly code?: ErrorCode;
}

/** Bad paths that stand in the message itself; the details have more. */
const LISTED = 32;

/** Narrows an unknown value by a schema; every bad path is reported at once. */
export function narrow<T>(schema: z.ZodType<T>, value: unknown, what: string, code: ErrorCode = 'INPUT_SCHEMA'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => ({
    path: issue.path.map(String).join('.') || '(root)',
    message: issue.message,
  }));
  const listed = issues
    .slice(0, LISTED)
    .map((issue) => `${issue.path}: ${issue.message}`)
    .join('; ');
  const rest = issues.length > LISTED ? `; and ${issues.length - LISTED} more` : '';
  throw new SkerryError(code, `${what} is not valid: ${listed}${rest}`, { details: { issues: issues.slice(0, 64) } });
}

/** Parses and narrows JSON bytes: size, then syntax, then schema. */
export function parseJson<T>(schema: z.ZodType<T>, bytes: Uint8Array, options: NarrowOptions): T {
  const code = options.code ?? 'INPUT_SCHEMA';
  if (bytes.byteLength > options.maxBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${options.what} has ${bytes.byteLength} bytes, at most ${options.maxBytes} are accepted`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SkerryError(code, `${options.what} is not JSON`, { cause });
  }
  return narrow(schema, value, options.what, code);
}
