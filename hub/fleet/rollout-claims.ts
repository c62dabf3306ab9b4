import type { Role } from '#hub/kernel/roles.js';
import type { Queryable } from '#hub/store/database.js';
import type { ModelName, VersionNumber } from '#shared/bundle/names.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { Capabilities, DeviceId } from '#shared/protocol/device.js';
import type { Incapable } from './decide/incapable.js';

/** A rollout under way that decides about a model on some of the devices asked about. */
export interface Claim {
  readonly rollout: string;
  readonly state: string;
  readonly devices: readonly DeviceId[];
}

/** Who makes a deployment; recorded with what follows from it. */
export interface Decider {
  readonly name: string;
  readonly role: Role | 'hub';
  readonly source: string;
}

/** What deployments need to know of rollouts; hub/rollouts answers, and the composition root joins the two. */
export interface RolloutClaims {
  /** Rollouts under way whose cohort has some of these devices, drafts not counted. */
  underWay(db: Queryable, model: string, devices: readonly DeviceId[]): Promise<readonly Claim[]>;
  /** Ends rollouts where they stand, in one transaction with what `write` writes in their place; throws without having changed anything. */
  supersede<T>(rollouts: readonly string[], by: Decider, reason: string, write: (trx: Queryable) => Promise<T>): Promise<T>;
  /** Reads a version and tells of each device why it cannot run it; `undefined` of one that can. */
  capability(model: ModelName, version: VersionNumber): Promise<(device: Capabilities) => Incapable | undefined>;
}

/** Throws `DEPLOYMENT_OVERLAP` when a rollout under way decides about the model on some of the devices. */
export async function requireUnclaimed(claims: RolloutClaims, db: Queryable, model: string, devices: readonly DeviceId[]): Promise<void> {
  const [claim, ...others] = await claims.underWay(db, model, devices);
  if (claim === undefined) return;
  const also = others.length === 0 ? '' : ` (and ${others.map((other) => other.rollout).join(', ')})`;
  throw new SkerryError(
    'DEPLOYMENT_OVERLAP',
    `rollout ${claim.rollout} of ${model}${also} is ${claim.state} and decides about ${claim.devices.length} of these devices`,
    { details: { rollout: claim.rollout, state: claim.state, devices: claim.devices.length } },
  );
}
