import type { ErrorCode } from '#shared/kernel/error-registry.js';
import type { EpochMillis, Millis } from '#shared/kernel/time.js';
import type { DeviceId } from '#shared/protocol/device.js';
import { isBeside, type RolloutDocument } from '../document.js';
import type { WaveProgress } from '../figures.js';
import type { RolloutEvent } from './machine.js';
import { isExcluded, releasedRow } from './membership.js';
import type { DeviceStatus, RolloutDevice, RolloutRecord } from '../record.js';

/** What a device's own reports say about what it was told last. */
export interface Observation {
  /**
   * `reached`: it does what it was told. `failed`: it says that it could not. `gone`: it was removed from the fleet.
   * `anew`: another machine has its name, and was told nothing. `unsupported`: its agent lacks something that the version needs.
   */
  readonly outcome: 'pending' | 'reached' | 'failed' | 'unsupported' | 'gone' | 'anew';
  /** When the hub last heard of it; null for never. */
  readonly heardAt: EpochMillis | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Statuses in which a device was told something and its reports are looked at. */
export const OBSERVED: ReadonlySet<DeviceStatus> = new Set([
  'told',
  'installed',
  'failed',
  'unsupported',
  'silent',
  'reverting',
  'unproven',
]);

/** How long a device may leave a rollout waiting. */
interface Patience {
  /** Not heard of at all. */
  readonly silentAfter: Millis;
  /** Heard of, and not back yet. */
  readonly backAfter: Millis;
}

/** Those of the rows that change by what is seen of their devices. */
export function observeAll(
  { document: { silent, deadline } }: Pick<RolloutRecord, 'document'>,
  rows: readonly RolloutDevice[],
  seen: ReadonlyMap<string, Observation>,
  now: EpochMillis,
): RolloutDevice[] {
  const patience = { silentAfter: silent.after, backAfter: deadline };
  return rows.flatMap((row) => {
    const observation = seen.get(row.device);
    const next = observation === undefined ? row : observe(row, observation, patience, now);
    return next === row ? [] : [next];
  });
}

/** The device after looking at its reports; the same object when nothing changed. A late or repeated report changes nothing more. */
export function observe(row: RolloutDevice, seen: Observation, patience: Patience, now: EpochMillis): RolloutDevice {
  if (seen.outcome === 'gone') return releasedRow(row, 'removed', now);
  // It is told again, or in a rollback to go to what the one before it ran.
  if (seen.outcome === 'anew') return { ...row, status: row.released === null ? 'waiting' : 'released', error: null };
  const status = nextStatus(row, seen, patience, now);
  const back = status === 'reverting' || status === 'reverted' || status === 'unproven';
  const refused = seen.outcome === 'failed' || seen.outcome === 'unsupported';
  const said = refused ? (seen.error ?? { code: 'INTERNAL', message: 'the device gave no reason' }) : null;
  // On the way back and after it stays known why.
  const error = back ? (row.error ?? said) : status === 'failed' || status === 'unsupported' ? said : null;
  if (status === row.status && error?.code === row.error?.code && error?.message === row.error?.message) return row;
  return { ...row, status, error };
}

function nextStatus(row: RolloutDevice, seen: Observation, { silentAfter, backAfter }: Patience, now: EpochMillis): DeviceStatus {
  const back = row.status === 'reverting' || row.status === 'unproven' || row.status === 'reverted';
  if (!OBSERVED.has(row.status)) return row.status;
  if (seen.outcome === 'reached') return back ? 'reverted' : 'installed';
  // One that cannot go back is named and keeps its place from nobody; when it does after all, that is seen.
  const late = now - (row.toldAt ?? now) >= backAfter;
  if (back) return late || seen.outcome === 'failed' || isSilent(row, seen, silentAfter, now) ? 'unproven' : 'reverting';
  if (seen.outcome === 'failed' || seen.outcome === 'unsupported') return seen.outcome;
  // Once installed or failed, only the opposite report changes it: a device restarting is not undecided again.
  if (row.status === 'installed' || row.status === 'failed') return row.status;
  return isSilent(row, seen, silentAfter, now) ? 'silent' : 'told';
}

function isSilent(row: RolloutDevice, seen: Observation, silentAfter: number, now: EpochMillis): boolean {
  return now - Math.max(row.toldAt ?? now, seen.heardAt ?? 0) >= silentAfter;
}

/**
 * Devices to compare with, and until when: those that wait without end, those told since the evidence began until they were
 * told. What a device did while it was part of the control stays: figures must not lose what they showed before. A version beside the old
 * one is compared with what the old one does on the same devices too.
 */
export function controlOf(
  rows: Iterable<RolloutDevice>,
  { begun, document }: Pick<RolloutRecord, 'begun' | 'document'>,
): ReadonlyMap<DeviceId, EpochMillis> {
  const from = begun[0]?.at ?? Number.POSITIVE_INFINITY;
  const control = new Map<DeviceId, EpochMillis>();
  for (const { device, status, toldAt, released } of rows) {
    if (released !== null && toldAt === null) control.set(device, released.at);
    else if (status === 'waiting' || status === 'holdout' || isBeside(document)) control.set(device, Number.POSITIVE_INFINITY);
    else if (toldAt !== null && toldAt >= from) control.set(device, toldAt);
  }
  return control;
}

/** Devices of the wave under way, counted. */
export function waveProgress(rows: Iterable<RolloutDevice>, wave: number): WaveProgress {
  const counts = { total: 0, waiting: 0, told: 0, installed: 0, failed: 0, silent: 0, released: 0 };
  for (const row of rows) {
    if (row.wave !== wave) continue;
    // One whose agent cannot yet is not waited for, and no failure; it counts again once it can.
    if (row.released !== null || row.status === 'unsupported') {
      counts.released += 1;
      continue;
    }
    counts.total += 1;
    if (
      row.status === 'waiting' ||
      row.status === 'told' ||
      row.status === 'installed' ||
      row.status === 'failed' ||
      row.status === 'silent'
    ) {
      counts[row.status] += 1;
    }
  }
  return counts;
}

/** The same for a rollback: `waiting` are to be told to go back, `told` were told, `installed` went back, `silent` did not show it. */
export function rollbackProgress(record: RolloutRecord, rows: Iterable<RolloutDevice>): WaveProgress {
  const counts = { total: 0, waiting: 0, told: 0, installed: 0, failed: 0, silent: 0, released: 0 };
  for (const row of rows) {
    if (needsReverting(record, row)) counts.waiting += 1;
    else if (row.status === 'reverting') counts.told += 1;
    else if (row.status === 'reverted') counts.installed += 1;
    else if (row.status === 'unproven') counts.silent += 1;
    else continue;
    counts.total += 1;
  }
  return counts;
}

/** True for a device that the rollback under way still has to tell: also one that staged the version, or that a retry was to tell again. */
function needsReverting(record: RolloutRecord, row: RolloutDevice): boolean {
  const { rollback } = record;
  if (rollback === null) return false;
  const onTheWay =
    row.status === 'told' || row.status === 'unsupported' || row.status === 'silent' || (row.status === 'waiting' && row.toldAt !== null);
  if (rollback.scope === 'in-flight') return onTheWay;
  if (rollback.scope === 'wave' && row.wave !== record.wave) return false;
  return onTheWay || row.status === 'installed' || row.status === 'failed';
}

/** Devices to tell now, in the order of their waves and slices, within `maxInFlight`. */
export function nextToTell(
  record: RolloutRecord,
  rows: readonly RolloutDevice[],
  mayTell: (row: RolloutDevice) => boolean,
): RolloutDevice[] {
  const limit = record.document.maxInFlight - rows.filter((row) => row.status === 'told').length;
  if (limit <= 0) return [];
  const upTo = tellableWave(record);
  return rows.filter((row) => row.status === 'waiting' && row.wave !== null && row.wave <= upTo && mayTell(row)).slice(0, limit);
}

/** Devices to tell to go back now. */
export function nextToRevert(record: RolloutRecord, rows: readonly RolloutDevice[]): RolloutDevice[] {
  const limit = record.document.rollback.maxInFlight - rows.filter((row) => row.status === 'reverting').length;
  return limit <= 0 ? [] : rows.filter((row) => needsReverting(record, row)).slice(0, limit);
}

/** Highest wave whose devices may be told: the one under way; between waves those that passed; -1 for none. */
function tellableWave(record: RolloutRecord): number {
  const { state, wave } = record;
  if (state === 'installing' || state === 'baking' || state === 'evaluating') return wave;
  return state === 'scheduled' || state === 'awaiting-approval' ? wave - 1 : -1;
}

/** Devices of the wave that ran the version, judged it against the one before and rolled back on their own, or died of it. */
export function tookBack(rows: Iterable<RolloutDevice>, wave: number): number {
  let count = 0;
  for (const row of rows) {
    if (row.wave === wave && row.status === 'failed' && TOOK_BACK.has(row.error?.code ?? '')) count += 1;
  }
  return count;
}

/**
 * Codes a device gives when it rolled back by itself. Loss of the hub (`UPDATE_NOT_CONNECTED`) is not among them: networks fail more often
 * than the chance that is reckoned with here.
 */
const TOOK_BACK: ReadonlySet<string> = new Set<ErrorCode>([
  'MODELS_GUARD_ERRORS',
  'MODELS_GUARD_LATENCY',
  'MODELS_GUARD_CRASHES',
  'MODELS_GUARD_GOLDEN',
  'MODELS_CRASHED',
  'INFERENCE_CRASHED',
  'UPDATE_EXITED',
  'UPDATE_CRASH_LOOP',
  'UPDATE_MODELS_FAILED',
]);

/** Silent devices count as the rollout says; the install gate sees them so. */
export function installFigures(
  progress: WaveProgress,
  silentAs: RolloutDocument['silent']['as'],
): { installed: number; failed: number; silent: number; pending: number } {
  return {
    installed: progress.installed,
    failed: progress.failed + (silentAs === 'failure' ? progress.silent : 0),
    silent: progress.silent,
    pending: progress.waiting + progress.told,
  };
}

/**
 * Devices an event sends back to `waiting`: a retry those that failed or were silent, a wave that begins anew those it took
 * back, and the end of staging those that staged, each in the wave in which it will switch. The end releases those not decided.
 */
export function resetBy(event: RolloutEvent, record: RolloutRecord, rows: readonly RolloutDevice[], at: EpochMillis): RolloutDevice[] {
  const waves = record.plan.waves;
  if (event === 'wave-passed' && waves[record.wave]?.action === 'stage') {
    const switching = new Map(waves.slice(record.wave + 1).flatMap((wave) => wave.devices.map((device) => [device, wave.index] as const)));
    return rows
      .filter((row) => row.status === 'installed')
      .map((row) => ({ ...row, status: 'waiting' as const, wave: switching.get(row.device) ?? null }));
  }
  if (event === 'finished') {
    const beside = isBeside(record.document);
    const open = rows.filter(
      (row) =>
        (row.status === 'waiting' && !(beside && row.toldAt !== null)) ||
        ((row.status === 'told' || row.status === 'unsupported') && !beside),
    );
    return open.map((row) => releasedRow(row, 'over', at));
  }
  const again = (row: RolloutDevice): boolean => {
    if (row.wave === null || row.released !== null) return false;
    if (event === 'retry') return row.wave <= record.wave && (row.status === 'failed' || row.status === 'silent');
    return event === 'begin-wave' && row.wave === record.wave && (row.status === 'reverted' || row.status === 'unproven');
  };
  return rows.filter(again).map((row) => ({ ...row, status: 'waiting' as const, error: null }));
}

/**
 * The devices of a rollout that has ended, before somebody takes it up again: those for which something newer was decided are released,
 * and those that are where it, or the deployment it left, wished them to be count as installed, with what they would run otherwise. Pure.
 */
export function reclaim(
  rows: readonly RolloutDevice[],
  held: ReadonlyMap<DeviceId, RolloutDevice['previous']>,
  wave: number,
  at: EpochMillis,
): RolloutDevice[] {
  const known = new Map(rows.map((row) => [row.device, row]));
  const lost = rows.filter((row) => OWN.has(row.status) && !held.has(row.device)).map((row) => releasedRow(row, 'decided-elsewhere', at));
  const back = [...held].flatMap(([device, otherwise]): RolloutDevice[] => {
    const row = known.get(device);
    if (row === undefined) return [{ device, wave, status: 'installed', toldAt: at, previous: otherwise, error: null, released: null }];
    if ((row.status !== 'waiting' && row.status !== 'released' && row.status !== 'holdout') || isExcluded(row)) return [];
    return [
      {
        ...row,
        status: 'installed',
        released: null,
        wave: row.wave ?? wave,
        toldAt: row.toldAt ?? at,
        previous: row.previous ?? otherwise,
      },
    ];
  });
  return [...lost, ...back];
}

const OWN: ReadonlySet<DeviceStatus> = new Set(['told', 'installed', 'failed', 'unsupported', 'silent']);
