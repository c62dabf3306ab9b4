import type { EpochMillis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { deviceMayBeTold } from './decide/schedule.js';
import type { FleetPort } from './ports.js';
import type { RolloutDevice, RolloutRecord } from './record.js';

/** Which devices the windows of the schedule let be told now, by their own time where the windows say so. */
export async function tellableNow(
  { document: { schedule } }: RolloutRecord,
  fleet: FleetPort,
  now: EpochMillis,
): Promise<(row: RolloutDevice) => boolean> {
  if (schedule.windows.every((window) => window.time === 'hub')) return () => true;
  const labels = new Map((await fleet.members()).map((device) => [device.id, device.labels]));
  const mayBeTold = deviceMayBeTold(schedule, now);
  return (row) => mayBeTold(labels.get(row.device) ?? {});
}

/** The rows with what their devices go back to, which is read before they are told anything else, and kept. */
export async function withPrevious(record: RolloutRecord, rows: readonly RolloutDevice[], fleet: FleetPort): Promise<RolloutDevice[]> {
  const unknown = rows.filter((row) => row.toldAt === null);
  if (unknown.length === 0) return [...rows];
  const devices = unknown.map((row) => row.device);
  const before = await targetsBefore(record, devices, fleet);
  return rows.map((row) => (row.toldAt === null && row.previous === null ? { ...row, previous: before.get(row.device) ?? null } : row));
}

/**
 * What devices that were not told yet are to run now. Where that is a wish of this very rollout, which a hub restored from a backup learnt
 * from the device, it is what they would run without it: the rollout's own version is nothing to go back to.
 */
async function targetsBefore(
  { id, document }: RolloutRecord,
  devices: readonly DeviceId[],
  fleet: FleetPort,
): Promise<ReadonlyMap<DeviceId, RolloutDevice['previous']>> {
  const before = new Map<DeviceId, RolloutDevice['previous']>(await fleet.current(document.model, devices));
  const own = devices.filter((device) => before.get(device)?.version === document.version);
  if (own.length === 0) return before;
  const held = await fleet.held(id, document.model);
  for (const device of own) if (held.has(device)) before.set(device, held.get(device) ?? null);
  return before;
}
