import type { VersionNumber } from '#shared/bundle/names.js';

interface Wanted {
  /** Versions that are served. */
  readonly versions: readonly { readonly version: VersionNumber }[];
  /** What the folder says that labels stand for. */
  readonly labels: ReadonlyMap<string, VersionNumber>;
}

/**
 * Labels after a change. A label moves only to a version that is served: until then it stays where it was, or is not there (TensorFlow
 * Serving, server_core.cc, has the same rule), so that nobody who asks by label meets a version that does not answer.
 */
export function movedLabels(now: ReadonlyMap<string, VersionNumber>, { versions, labels }: Wanted): ReadonlyMap<string, VersionNumber> {
  const served = new Set(versions.map(({ version }) => version));
  const moved = [...labels].flatMap(([label, wanted]) => {
    const stands = served.has(wanted) ? wanted : now.get(label);
    return stands === undefined || !served.has(stands) ? [] : [[label, stands] as const];
  });
  return new Map(moved);
}
