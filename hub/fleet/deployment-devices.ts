import type { Db } from '#hub/store/database.js';
import { type DeviceId, deviceIdSchema } from '#shared/protocol/device.js';
import { reachOf } from './decide/deployment-reach.js';
import { type Progress, progressOf, removalProgress } from './decide/progress.js';
import { type DeploymentRow, sourceOf } from './deployment-rows.js';
import { reportedOf } from './device-view.js';
import { readLabels } from './labels.js';

/** Devices that a deployment is for or that follow it, each with how far it is, by name. */
export async function devicesOf(db: Db, row: DeploymentRow): Promise<(Progress & { device: DeviceId })[]> {
  const reaches = reachOf(row);
  const candidates = await db
    .selectFrom('devices')
    .innerJoin('device_states', 'device_states.device', 'devices.id')
    .leftJoin('desired_states', 'desired_states.device', 'devices.id')
    .leftJoin('desired_models', (join) => join.onRef('desired_models.device', '=', 'devices.id').on('desired_models.model', '=', row.model))
    .select(['devices.id', 'devices.labels', 'device_states.reported', 'desired_states.counter', 'desired_models.source'])
    .where('devices.revoked_at', 'is', null)
    .orderBy('devices.id')
    .execute();
  return candidates
    .map((device) => ({ ...device, id: deviceIdSchema.parse(device.id) }))
    .filter((device) => device.source === sourceOf(row) || reaches(device.id, readLabels(device.labels)))
    .map((device) => ({ device: device.id, ...progressIn(row, device) }));
}

function progressIn(
  row: DeploymentRow,
  device: { readonly source: string | null; readonly counter: number | null; readonly reported: string | null },
): Progress {
  const counter = device.counter ?? 0;
  if (row.version === null || row.manifest_digest === null) {
    // Something else gives it the model again.
    return device.source === null ? removalProgress({ model: row.model, counter }, reportedOf(device)) : { state: 'superseded' };
  }
  if (device.source !== sourceOf(row)) return { state: 'superseded' };
  return progressOf({ model: row.model, version: row.version, manifest: row.manifest_digest, counter }, reportedOf(device));
}
