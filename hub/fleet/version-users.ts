import type { VersionUsers } from '#hub/registry/version-needs.js';
import { kindNamed, type VersionKind } from '#shared/bundle/kinds.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { type Capabilities, capabilitiesSchema } from '#shared/protocol/device.js';
import type { InstallState, Reported } from '#shared/protocol/messages.js';
import { beside } from './decide/desired-content.js';
import { reportedOf } from './device-view.js';

/** Deployments that count, devices that are told to run a version, and devices that report that they have it. */
export const fleetUsers: VersionUsers = async (db, model, version) => {
  const deployments = await db
    .selectFrom('deployments')
    .select('id')
    .where('model', '=', model)
    .where('version', '=', version)
    .where('withdrawn_at', 'is', null)
    .orderBy('id')
    .execute();
  const wishes = await db
    .selectFrom('desired_models')
    .innerJoin('devices', 'devices.id', 'desired_models.device')
    .select(['device', 'version', 'candidate', 'rollout'])
    .where('model', '=', model)
    .where('revoked_at', 'is', null)
    .orderBy('device')
    .execute();
  const reports = await db
    .selectFrom('device_states')
    .innerJoin('devices', 'devices.id', 'device_states.device')
    .select(['device', 'reported', 'capabilities'])
    .where('revoked_at', 'is', null)
    .where('reported', 'is not', null)
    .orderBy('device')
    .execute();
  const told = new Set<string>(wishes.map(({ device }) => device));
  return {
    deployments: deployments.map(({ id }) => String(id)),
    wanted: wishes.filter((wish) => wish.version === version || beside(wish).candidate?.version === version).map(({ device }) => device),
    kept: reports
      .filter((row) => has(reportedOf(row), row.capabilities, { model, version, told: told.has(row.device) }))
      .map(({ device }) => device),
  };
};

/** A version as one device may have it; `told` when the device is told to run some version of the model. */
interface Asked {
  readonly model: ModelName;
  readonly version: VersionNumber;
  readonly told: boolean;
}

/** Whether what a device says of itself shows that it runs a version, whatever it reports of its models. */
const RUNS: Readonly<Record<VersionKind, (device: Capabilities, version: VersionNumber) => boolean>> = {
  model: () => false,
  agent: ({ selfUpdate }, version) => selfUpdate?.release === version,
};

/**
 * What a device serves, rolls back to or takes up is a reason to keep it. What it gave up is none, nor are files that a model left which was taken off; a release of the agent is kept while
 * it runs.
 */
function has(reported: Reported | undefined, capabilities: string, { model, version, told }: Asked): boolean {
  if (RUNS[kindNamed(model)](capabilitiesSchema.parse(JSON.parse(capabilities)), version)) return true;
  const entry = reported?.models.find((candidate) => candidate.model === model);
  if (entry?.serving === null && !told) return false;
  if (entry === undefined) return false;
  const { serving, lastKnownGood, versions } = entry;
  if (serving === version || lastKnownGood === version) return true;
  // Good versions beside those lie in the device's cache, from where they go when their room is needed.
  const isCached = (install: InstallState): boolean => lastKnownGood !== undefined && install === 'good';
  return versions.some((known) => known.version === version && known.install !== 'bad' && !isCached(known.install));
}
