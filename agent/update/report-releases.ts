import { AGENT_MODEL } from '#shared/bundle/names.js';
import type { Reported, ReportedVersion } from '#shared/protocol/messages.js';
import { isWantedAgain, reportedError } from '#agent/install/report-parts.js';
import type { ReleaseRecord } from './records.js';
import type { UpdateContext } from './update-context.js';

/** Reported of a release that is no longer wanted and stays. */
const NO_WAY_BACK = {
  code: 'UPDATE_CANNOT_ROLL_BACK',
  message: 'no release is deployed any longer, but the packaged agent cannot read the current data; deploy a release instead',
};

/** The part of the reported state that is about the agent itself: releases are reported as versions of a model. */
export function reportReleases(context: UpdateContext): Reported['models'] {
  const { records, runs } = context;
  if (records.list().length === 0 && runs === undefined) return [];
  const versions = records.list().map((record) => reportRelease(record, context));
  return [{ model: AGENT_MODEL, serving: runs ?? null, versions: versions.toSorted((a, b) => a.version - b.version) }];
}

function reportRelease(record: ReleaseRecord, context: UpdateContext): ReportedVersion {
  const { version, manifest, install } = record;
  const { progress, desired } = context;
  if (isWantedAgain(record, desired)) return { version, manifest, install: 'wanted' };
  const error = record.error ?? currentError(record, context);
  return {
    version,
    manifest,
    install,
    ...(install === 'fetching' && progress !== undefined ? { progress } : {}),
    ...(error === undefined ? {} : { error: reportedError(error) }),
  };
}

function currentError(
  { version }: ReleaseRecord,
  { desired, error, runs, desiredKnown, noWayBack }: UpdateContext,
): ReleaseRecord['error'] {
  if (desired?.version === version) return error;
  return version === runs && desiredKnown && desired === undefined && noWayBack ? NO_WAY_BACK : undefined;
}
