import { parseSelector, type Selector } from '#hub/fleet/decide/selector.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { counted } from '#shared/kernel/counted.js';
import { SkerryError } from '#shared/kernel/errors.js';
import type { DeviceId, Labels } from '#shared/protocol/device.js';
import { type Plan, waveOfJoiner } from './plan.js';
import type { Release, RolloutDevice } from '../record.js';

/** Devices named in a message or a reason. */
const NAMED = 8;

// Who takes part in a rollout under way: devices that were removed, that left its cohort, or that a person takes out. Pure.

/** The row of a device that is out of the rollout from now on. */
export function releasedRow(row: RolloutDevice, why: Release, at: EpochMillis): RolloutDevice {
  return { ...row, status: 'released', released: { why, at } };
}

export function isExcluded(row: RolloutDevice): boolean {
  return row.released?.why === 'excluded';
}

/** The row of a device that a person takes out: one that was told goes back to what it ran before. The same object when it is out already. */
function excludedRow(row: RolloutDevice, at: EpochMillis): RolloutDevice {
  if (isExcluded(row)) return row;
  const released = { why: 'excluded' as const, at };
  if (row.toldAt === null || row.status === 'released') return { ...row, status: 'released', released };
  const back = row.status === 'reverting' || row.status === 'reverted' || row.status === 'unproven';
  return back ? { ...row, released } : { ...row, status: 'reverting', toldAt: at, released };
}

/**
 * Rows that change when a person takes these devices out; none for those that are out already. Throws `ROLLOUT_DEVICE_UNKNOWN` for
 * devices that the rollout does not have.
 */
export function exclusion(
  rollout: string,
  rows: readonly RolloutDevice[],
  devices: readonly DeviceId[],
  at: EpochMillis,
): readonly RolloutDevice[] {
  const known = new Map(rows.map((row) => [row.device, row]));
  const unknown = devices.filter((device) => !known.has(device));
  if (unknown.length > 0) {
    throw new SkerryError('ROLLOUT_DEVICE_UNKNOWN', `rollout ${rollout} has no device ${unknown.slice(0, NAMED).join(', ')}`, {
      details: { devices: unknown.slice(0, 64) },
    });
  }
  return [...new Set(devices)].flatMap((device) => {
    const row = known.get(device);
    const next = row === undefined ? undefined : excludedRow(row, at);
    return next === undefined || next === row ? [] : [next];
  });
}

/** What is known of where a device belongs now; undefined for one that was removed from the fleet. */
type LabelsOf = (device: DeviceId) => Readonly<Labels> | undefined;

/**
 * Rows of devices that wait and no longer belong where the plan put them: removed from the fleet, or out of the cohort before they were
 * told, they are released; out of their wave's own cohort they go where a device that joins now would. Who was told of the version stays,
 * wherever its labels put it: it may have to go back. Pure.
 */
export function leavers(
  rows: readonly RolloutDevice[],
  { plan, cohort }: { readonly plan: Pick<Plan, 'seed' | 'waves'>; readonly cohort: Selector },
  labelsOf: LabelsOf,
  at: EpochMillis,
): RolloutDevice[] {
  return rows.filter(mayLeave).flatMap((row) => {
    const labels = labelsOf(row.device);
    if (labels === undefined) return [releasedRow(row, 'removed', at)];
    if (row.toldAt !== null) return [];
    if (!cohort.matches(labels)) return [releasedRow(row, 'left-cohort', at)];
    const selector = row.wave === null ? '' : (plan.waves[row.wave]?.selector ?? '');
    if (selector === '' || parseSelector(selector).matches(labels)) return [];
    const wave = waveOfJoiner(plan, { id: row.device, labels }, parseSelector) ?? null;
    return [{ ...row, wave, status: wave === null ? 'holdout' : 'waiting' }];
  });
}

/** True for a device that is to be told, or is compared with: the rollout looks whether it is still there before it tells it. */
export function mayLeave(row: RolloutDevice): boolean {
  return row.status === 'waiting' || row.status === 'holdout';
}

/** True for one that left by itself: when it belongs to the cohort again, it joins like a new device. */
export function mayComeBack(row: RolloutDevice): boolean {
  return row.status === 'released' && (row.released?.why === 'removed' || row.released?.why === 'left-cohort');
}

/** The row of a device that joins; one that was told before it was removed has, in a rollback, to go to what it ran before that. */
export function joiningRow(row: RolloutDevice, before: RolloutDevice | undefined): RolloutDevice {
  return before?.released?.why === 'removed' ? { ...row, toldAt: before.toldAt, previous: before.previous } : row;
}

/** Why devices were let go, with as many names as fit into a line. */
export function whyReleased(rows: readonly RolloutDevice[]): string {
  const groups = [
    ['removed from the fleet', rows.filter((row) => row.released?.why === 'removed')],
    ['out of the cohort', rows.filter((row) => row.released?.why === 'left-cohort')],
  ] as const;
  return groups
    .filter(([, members]) => members.length > 0)
    .map(([why, members]) => {
      const named = members.slice(0, NAMED).map((row) => row.device);
      const more = members.length > NAMED ? ` and ${members.length - NAMED} more` : '';
      return `${counted(members.length, 'device')} ${why}: ${named.join(', ')}${more}`;
    })
    .join('; ');
}
