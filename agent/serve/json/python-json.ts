import { LIMITS } from '#shared/kernel/limits.js';
import { atOnce, inTurns } from '#shared/kernel/turns.js';
import { readDocument } from '#shared/tensor/json-document.js';

/** Bytes of a body up to which it is read in one go: some hundred microseconds of work. */
const AT_ONCE_BYTES = 64 * 1024;

const NO_TENSORS: ReadonlySet<string> = new Set();

/**
 * Reads JSON as Python's `json` module does: the words NaN, Infinity and -Infinity are numbers, and a whole number beyond 2^53 is a bigint.
 * It can be interrupted wherever it yields. Errors: `SERVE_BODY` for what is no JSON, `SERVE_JSON_TOO_LARGE` for more values than
 * `jsonElements` and what a document has beside.
 */
export function readPythonJson(bytes: Uint8Array, what: string, jsonElements: number): Generator<void, unknown> {
  return readDocument(bytes, {
    what,
    code: 'SERVE_BODY',
    tensorMembers: NO_TENSORS,
    python: true,
    values: { limit: jsonElements + LIMITS.jsonValues, code: 'SERVE_JSON_TOO_LARGE' },
  });
}

/** Runs the work of reading a body: at once where it is small, else in turns. */
export async function readingBody<T>(bytes: Uint8Array, work: Generator<void, T>): Promise<T> {
  return bytes.byteLength > AT_ONCE_BYTES ? inTurns(work) : atOnce(work);
}
