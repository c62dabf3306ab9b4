import { counted } from '#shared/kernel/counted.js';
import type { EpochMillis } from '#shared/kernel/time.js';
import { formatDuration } from '#shared/kernel/duration.js';
import { levelsOf } from './budget.js';
import type { WaveFigures } from '../figures.js';
import { gateName } from '../gate-document.js';
import { evaluateGate } from './gates/evaluate.js';
import type { GateResult } from './gates/result.js';
import { type AutomaticEvent, isActive, isReturning } from './machine.js';
import type { PlanWave } from './plan.js';
import type { RolloutRecord } from '../record.js';
import { hubMayAct, hubOpens, type Schedule } from './schedule.js';

/** What the hub should do next by itself, and why; without an event it waits, and the reason says for what. */
export interface Verdict {
  readonly event: AutomaticEvent | undefined;
  readonly reason: string;
  readonly results: readonly GateResult[];
}

/**
 * The next automatic event of a rollout. Pure: record, figures and time in, verdict out, so a
 * replay of what was recorded gives the same decisions (R8). `figures` are those of the wave under way, or of the
 * rollback; states that need none get `undefined`.
 */
export function decide(record: RolloutRecord, figures: WaveFigures | undefined, now: EpochMillis): Verdict {
  const { state } = record;
  if (state === 'scheduled') return beginning(record, figures, now);
  const underWayNow = state === 'installing' || state === 'baking' || state === 'evaluating';
  if (!underWayNow && !isReturning(state)) return waiting(isActive(state) ? 'a person' : 'nothing: it has ended');
  if (figures === undefined) return waiting('no figures yet');
  return underWayNow ? underWay(record, figures, now) : goingBack(record, figures);
}

/** Results of every gate of the wave under way. */
function evaluateWave(record: RolloutRecord, figures: WaveFigures): GateResult[] {
  const wave = record.plan.waves[record.wave];
  const waves = record.plan.waves.map(({ gates }) => gates);
  return (wave?.gates ?? []).map((gate) => {
    const name = gateName(gate);
    return evaluateGate(
      gate,
      figures.gates.find((candidate) => candidate.gate === name),
      levelsOf(gate, record.document, waves),
    );
  });
}

function beginning(record: RolloutRecord, figures: WaveFigures | undefined, now: EpochMillis): Verdict {
  const wave = record.plan.waves[record.wave];
  if (wave === undefined) return waiting('there is no such wave');
  if (wave.approval !== null && !record.approved.includes(record.wave)) {
    return verdict('need-approval', `wave "${wave.name}" needs the approval of somebody with the role ${wave.approval}`);
  }
  if (!hubMayAct(record.document.schedule, now)) return waiting(nextWindow(record.document.schedule, now));
  return verdict('begin-wave', `wave "${wave.name}" begins with ${counted(figures?.progress.total ?? wave.devices.length, 'device')}`);
}

function nextWindow(schedule: Schedule, now: EpochMillis): string {
  const changes = hubOpens(schedule, now);
  return `the next window of the schedule${changes === null ? ', and none opens within a year' : `, which opens ${new Date(changes).toISOString()}`}`;
}

function underWay(record: RolloutRecord, figures: WaveFigures, now: EpochMillis): Verdict {
  const wave = record.plan.waves[record.wave];
  if (wave === undefined) return waiting('there is no such wave');
  const results = evaluateWave(record, figures);
  const failed = results.filter((result) => result.outcome === 'fail');
  if (failed.length > 0) {
    const event = record.document.onFailure === 'pause' ? 'gate-failed-pause' : 'gate-failed-rollback';
    return verdict(event, failed.map((result) => `${result.gate}: ${result.reason}`).join('; '), results);
  }
  const broken = results.filter((result) => result.outcome === 'error');
  if (broken.length > 0) {
    return verdict('gate-error', broken.map((result) => `${result.gate} cannot be computed: ${result.reason}`).join('; '), results);
  }
  return (
    forward(record, wave, figures, results, now) ??
    late(record, wave, figures, results, now) ??
    waiting(stillLacking(record, figures, results), results)
  );
}

function forward(
  record: RolloutRecord,
  wave: PlanWave,
  figures: WaveFigures,
  results: readonly GateResult[],
  now: EpochMillis,
): Verdict | undefined {
  const { progress } = figures;
  if (record.state === 'installing') {
    if (progress.waiting + progress.told > 0) return undefined;
    return verdict('all-decided', `${progress.installed} installed, ${progress.failed} failed, ${progress.silent} silent`, results);
  }
  if (record.state === 'baking') {
    return now - record.since >= wave.bake ? verdict('baked', `baked for ${formatDuration(wave.bake)}`, results) : undefined;
  }
  if (lacking(record, figures, results).length > 0) return undefined;
  const last = record.wave + 1 >= record.plan.waves.length;
  return verdict(last ? 'finished' : 'wave-passed', passReason(figures, results), results);
}

function late(
  record: RolloutRecord,
  wave: PlanWave,
  figures: WaveFigures,
  results: readonly GateResult[],
  now: EpochMillis,
): Verdict | undefined {
  if (record.deadlineFrom === null || (figures.deadlineRan ?? now - record.deadlineFrom) < wave.deadline) return undefined;
  return verdict('deadline', `the deadline of ${formatDuration(wave.deadline)} passed: ${stillLacking(record, figures, results)}`, results);
}

function stillLacking(record: RolloutRecord, figures: WaveFigures, results: readonly GateResult[]): string {
  const undecided = figures.progress.waiting + figures.progress.told;
  const missing = [...(undecided > 0 ? [`${counted(undecided, 'device')} undecided`] : []), ...lacking(record, figures, results)];
  return missing.join('; ') || 'the bake time';
}

/** What the wave still lacks to pass; empty when it has everything. */
function lacking(record: RolloutRecord, figures: WaveFigures, results: readonly GateResult[]): string[] {
  const least = leastEvidence(record, figures);
  const { predictions, devices } = figures.evidence;
  const out: string[] = [];
  if (predictions < least.predictions) out.push(`${predictions} of ${least.predictions} predictions`);
  const reporting = least.predictions > 0 ? devices : figures.progress.installed;
  if (reporting < least.devices) out.push(`${reporting} of ${least.devices} devices`);
  for (const result of results) if (result.outcome !== 'pass') out.push(`${result.gate}: ${result.reason}`);
  return out;
}

/**
 * The least evidence the wave asks for. Devices that left the rollout are not waited for; but a first wave with nobody left has shown
 * nothing, and goes on waiting for somebody.
 */
function leastEvidence(record: RolloutRecord, { progress }: WaveFigures): PlanWave['evidence'] {
  const { predictions, devices } = record.plan.waves[record.wave]?.evidence ?? { predictions: 0, devices: 1 };
  if (progress.released === 0 || (progress.total === 0 && record.wave === 0)) return { predictions, devices };
  if (progress.total === 0) return { predictions: 0, devices: 0 };
  return { predictions, devices: Math.min(devices, Math.max(progress.total, devices - progress.released)) };
}

/** Every device in scope reported that it went back, or is named as unproven. */
function goingBack(record: RolloutRecord, figures: WaveFigures): Verdict {
  const { progress } = figures;
  const open = progress.waiting + progress.told;
  if (open > 0) return waiting(`${counted(open, 'device')} still to ${record.state === 'ending' ? 'end the trial' : 'go back'}`);
  if (record.state === 'ending') {
    return verdict('reverted', `reported the old version alone: ${counted(progress.installed, 'device')}, unproven: ${progress.silent}`);
  }
  const scope = record.rollback?.scope ?? 'all';
  return verdict('reverted', `reported the old version: ${counted(progress.installed, 'device')}, unproven: ${progress.silent} (${scope})`);
}

function passReason(figures: WaveFigures, results: readonly GateResult[]): string {
  const names = results.map((result) => result.gate).join(', ');
  return `${names === '' ? 'no gates' : `every gate passed (${names})`}; ${counted(figures.evidence.predictions, 'prediction')} on ${counted(figures.evidence.devices, 'device')}`;
}

function verdict(event: AutomaticEvent, reason: string, results: readonly GateResult[] = []): Verdict {
  return { event, reason, results };
}

function waiting(reason: string, results: readonly GateResult[] = []): Verdict {
  return { event: undefined, reason, results };
}
