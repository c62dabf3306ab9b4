/** Where the code of a worker thread comes from. */
export type WorkerSource =
  | { readonly kind: 'file'; readonly url: URL }
  /** A CommonJS program as text, for builds that have no files beside them. */
  | { readonly kind: 'code'; readonly code: string };

/**
 * Tells where the code of the worker `name` is; from source that is its file. This module is the one a single-file build
 * puts another in place of (at bundling, so nothing is registered while running): there it returns the worker's embedded
 * code, looked up by name.
 */
export function workerSource(_name: string, url: URL): WorkerSource {
  return { kind: 'file', url };
}
