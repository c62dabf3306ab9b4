import type { Digest, ModelName, VersionNumber } from '#shared/bundle/names.js';
import type { Reported } from '#shared/protocol/messages.js';

export interface Target {
  readonly version: VersionNumber;
  readonly manifest: Digest;
}

/**
 * What a device runs of a model now, for a rollout to compare with and to go back to: the newest wish, since a device on its way there
 * will arrive; but what the device serves where it refused that wish, since a version it refused is nothing to go back to.
 */
export function currentTarget(model: ModelName, wish: Target | undefined, reported: Reported | undefined): Target | undefined {
  const entry = reported?.models.find((candidate) => candidate.model === model);
  const served = entry?.versions.find((candidate) => candidate.version === entry.serving);
  if (wish === undefined) return served === undefined ? undefined : { version: served.version, manifest: served.manifest };
  const wished = entry?.versions.find((candidate) => candidate.version === wish.version && candidate.manifest === wish.manifest);
  const refused = wished !== undefined && (wished.install === 'bad' || wished.error !== undefined);
  return refused && served !== undefined ? { version: served.version, manifest: served.manifest } : wish;
}
