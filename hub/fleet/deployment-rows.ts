import type { Queryable } from '#hub/store/database.js';
import { digestSchema, modelNameSchema, versionNumberSchema } from '#shared/bundle/names.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { SkerryError } from '#shared/kernel/errors.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { reachOf } from './decide/deployment-reach.js';
import type { DesiredDecision } from './desired-rows.js';
import { readLabels } from './labels.js';
import type { DeploymentsTable } from '#hub/store/tables/fleet-tables.js';

export type DeploymentRow = Omit<DeploymentsTable, 'id'> & { readonly id: number };

/** Devices per statement: SQLite binds at most 32,766 values (sqlite.org/limits.html). */
const PAGE = 1000;

/** Throws `DEPLOYMENT_UNKNOWN`. */
export async function deploymentRow(db: Queryable, id: number): Promise<DeploymentRow> {
  const row = await db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new SkerryError('DEPLOYMENT_UNKNOWN', `there is no deployment ${id}`);
  return row;
}

export function sourceOf(row: Pick<DeploymentRow, 'id'>): string {
  return `deployment:${row.id}`;
}

/** The wish that follows from a deployment; undefined for one that takes the model off. */
export function decisionOf(row: DeploymentRow, device: DeviceId): DesiredDecision | undefined {
  if (row.version === null || row.manifest_digest === null) return undefined;
  return {
    device,
    model: modelNameSchema.parse(row.model),
    version: versionNumberSchema.parse(row.version),
    manifest: digestSchema.parse(row.manifest_digest),
    attempt: row.attempt,
    source: sourceOf(row),
    decidedAt: row.created_at,
  };
}

/** Takes the wish for a model away from devices, in the caller's transaction; with `before` only one that is older. */
export async function takeOff(trx: Queryable, model: string, devices: readonly DeviceId[], before?: EpochMillis): Promise<void> {
  for (let start = 0; start < devices.length; start += PAGE) {
    const rows = trx
      .deleteFrom('desired_models')
      .where('model', '=', model)
      .where('device', 'in', devices.slice(start, start + PAGE));
    await (before === undefined ? rows : rows.where('decided_at', '<', before)).execute();
  }
}

export interface WithdrawOptions {
  /** Devices keep what they have. */
  readonly keep: boolean;
  readonly dryRun: boolean;
  readonly by: string;
}

/** What withdrawing a deployment comes to for each device that follows it. */
interface Withdrawal {
  readonly devices: readonly DeviceId[];
  readonly decisions: readonly DesiredDecision[];
  readonly takenOff: readonly DeviceId[];
  readonly kept: readonly DeviceId[];
}

/** `isFor` says whether a deployment whose selector matches is for the device. */
export async function planWithdrawal(
  trx: Queryable,
  row: DeploymentRow,
  keep: boolean,
  isFor: (row: DeploymentRow, device: DeviceId) => Promise<boolean>,
): Promise<Withdrawal> {
  const followers = await followersOf(trx, row);
  const devices = followers.map(({ device }) => device);
  if (keep) return { devices, decisions: [], takenOff: [], kept: devices };
  const others = await trx
    .selectFrom('deployments')
    .selectAll()
    .where('model', '=', row.model)
    .where('id', '!=', row.id)
    .where('withdrawn_at', 'is', null)
    .orderBy('id', 'desc')
    .execute();
  const reaches = others.map((other) => ({ other, reaches: reachOf(other) }));
  const decisions: DesiredDecision[] = [];
  const takenOff: DeviceId[] = [];
  for (const { device, labels } of followers) {
    const matching = reaches.filter((entry) => entry.reaches(device, labels)).map(({ other }) => other);
    const next = await firstFor(matching, device, isFor);
    const decision = next && decisionOf(next, device);
    if (decision === undefined) takenOff.push(device);
    else decisions.push(decision);
  }
  return { devices, decisions, takenOff, kept: [] };
}

async function firstFor(
  rows: readonly DeploymentRow[],
  device: DeviceId,
  isFor: (row: DeploymentRow, device: DeviceId) => Promise<boolean>,
): Promise<DeploymentRow | undefined> {
  for (const row of rows) if (await isFor(row, device)) return row;
  return undefined;
}

/**
 * Devices whose newest wish for the model is the deployment's. One that took the model off left no wish: whoever it reaches and has none
 * follows it.
 */
async function followersOf(trx: Queryable, row: DeploymentRow): Promise<{ device: DeviceId; labels: ReturnType<typeof readLabels> }[]> {
  const reaches = reachOf(row);
  const rows = await trx
    .selectFrom('devices')
    .leftJoin('desired_models', (join) => join.onRef('desired_models.device', '=', 'devices.id').on('desired_models.model', '=', row.model))
    .select(['devices.id', 'devices.labels', 'desired_models.source'])
    .where('devices.revoked_at', 'is', null)
    .orderBy('devices.id')
    .execute();
  return rows
    .map(({ id, labels, source }) => ({ device: deviceIdSchema.parse(id), labels: readLabels(labels), source }))
    .filter(({ device, labels, source }) => (row.version === null ? source === null && reaches(device, labels) : source === sourceOf(row)));
}
