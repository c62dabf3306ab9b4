import type { HttpStatusOf, Status } from '../status.js';

/** Who is at fault when an error with a given code is raised. */
export type Fault = 'ours' | 'caller' | 'peer' | 'environment';

interface EntryOf<S extends Status> {
  readonly fault: Fault;
  /** What it is in words of no protocol. */
  readonly status: S;
  /** HTTP status, where a more exact one than the usual of `status` says the same. */
  readonly http?: HttpStatusOf<S>;
  /** One sentence: what happened. */
  readonly summary: string;
  /** One sentence: what the reader does next. */
  readonly action: string;
}

/** What every error code says about itself; `docs/ERRORS.md` is compared with these entries by a test. */
export type CodeEntry = { readonly [S in Status]: EntryOf<S> }[Status];

/** Keeps the literal keys of a code table while checking each entry. */
export function defineCodes<const T extends Readonly<Record<string, CodeEntry>>>(codes: T): T {
  return codes;
}
