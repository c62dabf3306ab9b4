/** Who is at fault when an error with a given code is raised. */
export type Fault = 'ours' | 'caller' | 'peer' | 'environment';

/** What every error code says about itself; `docs/ERRORS.md` is compared with these entries by a test. */
export interface CodeEntry {
  readonly fault: Fault;
  /** HTTP status used wherever the error reaches an HTTP client. */
  readonly http: number;
  /** One sentence: what happened. */
  readonly summary: string;
  /** One sentence: what the reader does next. */
  readonly action: string;
}

/** Keeps the literal keys of a code table while checking each entry. */
export function defineCodes<const T extends Readonly<Record<string, CodeEntry>>>(codes: T): T {
  return codes;
}
