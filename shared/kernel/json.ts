import type { z } from 'zod';
import { SkerryError } from './errors.js';
import type { ErrorCode } from './error-registry.js';

interface NarrowOptions {
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
  refuseNewer(result.error, value, what);
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

/** A format is a name and a number, `skerry.identity/1`, in the member `schema`. */
const FORMAT = /^(?<name>[a-z.-]+)\/(?<number>[1-9]\d{0,5})$/;

/** A document whose format has the expected name and a higher number is not damaged: a later release wrote it. */
function refuseNewer(error: z.ZodError, value: unknown, what: string): void {
  for (const issue of error.issues) {
    if (issue.code !== 'invalid_value' || issue.path.at(-1) !== 'schema') continue;
    const [known, found] = [issue.values[0], valueAt(value, issue.path)];
    if (typeof known !== 'string' || typeof found !== 'string') continue;
    const [ours, theirs] = [FORMAT.exec(known)?.groups, FORMAT.exec(found)?.groups];
    if (ours === undefined || theirs === undefined) continue;
    if (theirs['name'] !== ours['name'] || Number(theirs['number']) <= Number(ours['number'])) continue;
    throw new SkerryError('FORMAT_NEWER', `${what} has the format ${found}; this release of Skerry reads ${known}`, { cause: error });
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}

/** Parses JSON bytes whose size is bounded; what it holds is still to be narrowed. */
export function parseUnknown(bytes: Uint8Array, options: NarrowOptions): unknown {
  const code = options.code ?? 'INPUT_SCHEMA';
  if (bytes.byteLength > options.maxBytes) {
    throw new SkerryError('INPUT_TOO_LARGE', `${options.what} has ${bytes.byteLength} bytes, at most ${options.maxBytes} are accepted`);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SkerryError(code, `${options.what} is not JSON`, { cause });
  }
}

/** Parses and narrows JSON bytes: size, then syntax, then schema. */
export function parseJson<T>(schema: z.ZodType<T>, bytes: Uint8Array, options: NarrowOptions): T {
  return narrow(schema, parseUnknown(bytes, options), options.what, options.code ?? 'INPUT_SCHEMA');
}
