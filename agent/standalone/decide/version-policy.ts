import type { ModelConfig } from '../config/model-config.js';

/** Which of the versions that are there are to be served, smallest first: the latest one unless the configuration says otherwise. */
export function chosenVersions(there: readonly number[], policy: ModelConfig['version_policy']): readonly number[] {
  const sorted = [...new Set(there)].toSorted((a, b) => a - b);
  if (policy.all !== undefined) return sorted;
  const { specific, latest } = policy;
  if (specific !== undefined) return sorted.filter((version) => specific.versions.includes(version));
  return sorted.slice(-(latest?.num_versions ?? 1));
}

/** A policy in words. */
export function describePolicy({ all, specific, latest }: ModelConfig['version_policy']): string {
  if (all !== undefined) return 'all';
  return specific === undefined ? `latest ${latest?.num_versions ?? 1}` : `specific ${specific.versions.join(', ')}`;
}
